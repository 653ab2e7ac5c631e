"""Database of users, items and ratings, in SQLite or PostgreSQL."""

from reelated.data.files import is_export
from reelated.store.connection import StoreUnavailable, default_url
from reelated.store.export import Export, read_export
from reelated.store.import_export import ImportReport
from reelated.store.info import StoreInfo
from reelated.store.records import Event, Profile, StoredItem, UserRating
from reelated.store.store import GenreTaste, Store

__all__ = ["Event", "Export", "GenreTaste", "ImportReport", "Profile", "Store", "StoreInfo", "StoreUnavailable"]
__all__ += ["StoredItem", "UserRating", "default_url", "is_export", "read_export"]
