"""`Store`: all parts of the store in one class."""

from reelated.store.import_export import ImportExport
from reelated.store.stats import RatingStats
from reelated.store.user_queries import UserQueries
from reelated.store.visitors import VisitorQueries


class Store(UserQueries, VisitorQueries, RatingStats, ImportExport):
    """Users, items and ratings in SQLite or PostgreSQL.

    An id of the wrong type, an invalid value or a rating off the scale raises `InputError`; an unknown user or item
    raises `UnknownId`. A change is durable when the method returns.

    Parameters
    ----------
    url : str, optional
        `sqlite:///path/to/store.db` or `postgresql://user:password@host/database`; by default a SQLite file in the
        user's data folder. `upgrade` creates the tables or migrates them.
    lock_timeout : float, default 30.0
        Seconds to wait for a lock of the database; then the call raises `StoreUnavailable`.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = Store(f"sqlite:///{folder.name}/store.db").upgrade()
    >>> store.put_item("alien", "Alien", 1979, ["Horror"])
    True
    >>> store.rate("ann", "alien", 5)
    >>> store.ratings_of("ann")
    [UserRating(item_id='alien', title='Alien', year=1979, rating=5.0, timestamp=...)]
    >>> store.close(); folder.cleanup()
    """
