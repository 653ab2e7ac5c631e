"""Database of users, items and ratings, in SQLite or PostgreSQL."""

from reelated.store.counts import GenreTaste
from reelated.store.database import About
from reelated.store.engine import StoreUnavailable, default_url
from reelated.store.items import StoredItem
from reelated.store.people import Profile, Rated
from reelated.store.store import Store
from reelated.store.transfer import ImportReport

__all__ = [
    "About",
    "GenreTaste",
    "ImportReport",
    "Profile",
    "Rated",
    "Store",
    "StoreUnavailable",
    "StoredItem",
    "default_url",
]
