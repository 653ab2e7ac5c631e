"""Columns of times in any notation → whole seconds since 1970-01-01 UTC; the whole column decides the notation."""

from contextlib import suppress

import polars as pl

from reelated.errors import Advice, InputError, plural, shorten
from reelated.ratings.values import Converted

# English, German, French, Spanish, Italian, Portuguese and Dutch, without accents
_MONTHS = (
    *("jan ene gen", "feb fev", "mar maa mrt", "apr abr avr", "may mai mag mei", "jun giu juin", "jul lug juil"),
    *("aug ago aou", "sep set", "oct okt ott out", "nov", "dec dez dic"),
)
_MONTH = {name: at for at, names in enumerate(_MONTHS, 1) for name in names.split()}
_UNITS = {10**17: ("nanoseconds", 10**9), 10**14: ("microseconds", 10**6), 10**11: ("milliseconds", 10**3)}
_NO_TIME = ("", "nat", "null", "nan", "none", "na", "n/a", "\\n", "-", "0000-00-00", "0000-00-00 00:00:00")
_DAYS = (20_000, 80_000)
"""Spreadsheet day numbers from 1954 to 2119; read as seconds, all would be on the first day of 1970."""
_DAY_1970 = 25_569
_WHOLE_DATES = (
    (19_000_101, 21_001_231, 1, "", "dates (year, month, day)"),
    (101, 1231, 20, "2000", "dates of one year (month, day), taken as 2000"),  # a few such numbers may be seconds
)
"""The lowest and highest number, the minimum number of values, the year, and a description of the notation."""
_ZONES = {"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}  # of RFC 822

_CLOCK = r"(?P<H>\d{1,2})[:.](?P<M>\d{2})(?:[:.](?P<S>\d{2})(?:[.,]\d+)?)?\s*(?:(?P<p>[AaPp])\.?[Mm]\.?)?"
_NAMED_ZONE = "UTC|GMT|[ECMP][SD]T"
_ZONE = rf"\s*(?:(?:GMT|UTC)?(?P<z>[Zz]|{_NAMED_ZONE}|[+-]\d{{2}}(?::?\d{{2}})?))?(?:\s*\([\w ]+\))?\.?$"
_AFTER = rf"(?:[T ,:_]+(?:at )?{_CLOCK})?{_ZONE}"
_WEEKDAY = r"^(?:(?:Posted|Reviewed|Rated)(?: .{1,60} on)? )?(?:\p{L}{3,10}\.?,?\s+)?"
_MONTH_NAME = r"(?:de )?(?P<m>\p{L}{3,10})\.?"
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th|er|\.|º)?"
_NOTATIONS = (
    rf"^(?P<a>\d{{1,4}})(?P<s>[-/._])(?P<b>\d{{1,2}})[-/._](?P<c>\d{{1,4}}){_AFTER}",  # 2021-05-01, 12/1/2010 8:00
    rf"{_WEEKDAY}{_DAY}[ /-]+{_MONTH_NAME}[ ,/-]+(?:de )?(?P<y>\d{{4}}|\d{{2}}){_AFTER}",  # 1 May 2021, RFC 5322
    rf"{_WEEKDAY}{_MONTH_NAME}[\s-]+{_DAY}[\s,-]+(?P<y>\d{{4}}){_AFTER}",  # May 1, 2021
    rf"^[A-Za-z]{{3}}\s+(?P<m>[A-Za-z]{{3}})\s+{_DAY}\s+{_CLOCK}\s+(?P<z>[+-]\d{{4}}|{_NAMED_ZONE})?\s*(?P<y>\d{{4}})$",
    r"^(?P<m>\d{1,2}) (?P<d>\d{1,2}), (?P<y>\d{4})$",  # Amazon's 09 1, 2015
    r"^(?P<y>\d{4})[-/.](?P<m>\d{1,2})$",  # 2021-05, the first of the month
    rf"^{_MONTH_NAME}[ ,-]+(?:de )?(?P<y>\d{{4}})$",  # May 2021
    r"^(?P<y>\d{4})\s*[年년]\s*(?P<m>\d{1,2})\s*[月월]\s*(?P<d>\d{1,2})\s*[日일]$",  # 2021年5月1日
    r"^(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?:[T ]?(?P<H>\d{2}):?(?P<M>\d{2}):?(?P<S>\d{2})?)?[Zz]?$",  # 20210501
)
_EXPECTED = "expected seconds since 1970 or a date such as '1998-04-01 12:30:00'"


def as_seconds(column: pl.Series, dates: str | None = None) -> Converted:
    """Convert a column of times to seconds, null where unknown; `dates` is "day-first" or "month-first"."""
    dtype = column.dtype
    if dtype in (pl.Date, pl.Datetime):
        return Converted(column.cast(pl.Datetime("us")).dt.epoch("s"))
    if dtype == pl.String:
        return _from_text(column, dates)
    if not (dtype.is_numeric() or dtype == pl.Null):
        raise InputError(
            f"{column.name} is a column of type {dtype}: expected dates or seconds since 1970.",
            remedy=Advice.WITHOUT_TIMES,
        )
    return _from_numbers(column)


def with_time_of_day(dates: Converted, clock: pl.Series, name: str) -> Converted:
    """Add the times of day in the column `name`, which may repeat the dates, to dates that are all at midnight."""
    if (dates.values % 86_400 != 0).any():
        return dates
    with suppress(InputError):
        moments = as_seconds(clock).values
        if len(moments) and (moments // 86_400 == dates.values // 86_400).all(ignore_nulls=False):
            return dates._replace(values=moments, notes=(*dates.notes, f"read the times in the column {name!r}"))
    if clock.dtype not in (pl.String, pl.Time) and not clock.dtype.is_integer():
        return dates
    text = clock.cast(pl.String).str.strip_chars()
    width = text.str.len_chars().max() or 0
    is_number = 3 <= width <= 6 and text.drop_nulls().str.contains(r"^\d+$").all()  # type: ignore[operator]
    if is_number:  # 905 and 1345, or 90500 and 134500
        text = text.str.zfill(4 if width <= 4 else 6).str.pad_end(6, "0")  # type: ignore[operator]
        text = text.str.replace(r"^(..)(..)(..)$", "$1:$2:$3")
    seconds = _parsed("1970-01-01 " + text, _NOTATIONS[0], None)
    n_missing = seconds.null_count()
    if 2 * n_missing > len(seconds) or (is_number and n_missing > text.null_count()):
        return dates
    note = f"read the time of day in the column {name!r}, such as {shorten(text.filter(seconds.is_not_null())[0])}"
    note += f"; {plural(n_missing, 'row')} without one" * bool(n_missing)
    return dates._replace(values=dates.values + seconds.fill_null(0), notes=(*dates.notes, note))


def _from_numbers(column: pl.Series) -> Converted:
    """Convert epoch times in any unit, and dates such as 20210501, to seconds."""
    whole = (column.fill_nan(None) if column.dtype.is_float() else column).cast(pl.Int64, strict=False)
    high, low = whole.max(), whole.min()
    if not (isinstance(high, int) and isinstance(low, int)):
        return Converted(whole)
    example = whole.drop_nulls()[0]
    if high >= min(_UNITS):  # the maximum is cheaper than the median, so it is tested first
        middle = whole.median()
        for least, (unit, size) in _UNITS.items():
            if isinstance(middle, (int, float)) and middle >= least:
                note = f"read {column.name} as {unit} since 1970, such as {shorten(example)}"
                return Converted(whole // size, notes=(note,))
    if low >= 1900 and high <= 2100:
        years = pl.format("{}-01-01", pl.col(whole.name))
        seconds = whole.to_frame().select(years.str.to_datetime("%Y-%m-%d", time_unit="us").dt.epoch("s")).to_series()
        return Converted(seconds, notes=(f"read {column.name} as years, such as {example}",))
    for first, last, n_least, year, form in _WHOLE_DATES:
        if low >= first and high <= last and whole.count() >= n_least:
            parsed = _parsed(year + whole.cast(pl.String).str.zfill(4), _NOTATIONS[-1], None)
            if parsed.null_count() == whole.null_count():
                return Converted(parsed, notes=(f"read {column.name} as {form}, such as {example}",))
    if low >= _DAYS[0] and high < _DAYS[1]:
        seconds = ((column.cast(pl.Float64) - _DAY_1970) * 86_400).round().cast(pl.Int64, strict=False)
        note = f"read {column.name} as days since 1900, as in a spreadsheet, such as {shorten(column.drop_nulls()[0])}"
        return Converted(seconds, notes=(note,))
    return Converted(whole)


def _from_text(column: pl.Series, dates: str | None) -> Converted:
    """Convert times written as text, by the notation that can read the most values."""
    text = column.str.strip_chars()
    text = text.set(text.str.to_lowercase().is_in(_NO_TIME), None)
    text = text.str.replace(r"^(\d+),(\d+)$", "$1.$2")  # a decimal comma
    numbers = text.cast(pl.Float64, strict=False)
    if 2 * numbers.null_count() <= len(text) + text.null_count():  # the usual case: the times are numbers
        whole = text.cast(pl.Int64, strict=False)  # a float could not hold nanoseconds exactly
        whole = whole if whole.null_count() == numbers.null_count() else numbers
        seconds, _, _, _, notes = _from_numbers(whole.alias(column.name))
        unreadable = numbers.is_null() & text.is_not_null() | numbers.is_infinite().fill_null(False)
        return Converted(seconds, unreadable, "expected a finite number", Advice.DROP_OR_WITHOUT_TIMES, notes)
    parsed = _iso(text)
    if parsed is None:
        counts = [int(text.str.contains(notation).sum()) for notation in _NOTATIONS]
        parsed = _parsed(text, _NOTATIONS[counts.index(max(counts))], dates)
    unreadable = parsed.is_null() & text.is_not_null()
    return Converted(parsed.alias(column.name), unreadable, _EXPECTED, Advice.DROP_OR_WITHOUT_TIMES)


def _iso(text: pl.Series) -> pl.Series | None:
    """Parse ISO 8601 times the fast way, or return None."""
    for notation in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d"):
        times = text.str.to_datetime(notation, time_unit="us", strict=False, exact=True)
        if times.null_count() == text.null_count():
            # %Y also reads years of fewer than four digits
            return times.dt.epoch("s") if (times.dt.year().min() or 1970) >= 1000 else None  # type: ignore[operator]
    return None


def _parsed(text: pl.Series, notation: str, dates: str | None) -> pl.Series:
    """Parse times in one notation; null if a value has another."""
    parts = text.str.extract_groups(notation).struct.unnest()
    absent = [name for name in "aybcmdHMSpzs" if name not in parts.columns]
    parts = parts.with_columns(pl.lit(None, pl.String).alias(name) for name in absent)
    if "a" not in absent:
        parts = _with_date(text, parts, dates)
    name = pl.col("m").str.to_lowercase().str.replace_many(["é", "û", "ä", "ç"], ["e", "u", "a", "c"])
    month = pl.coalesce(name.str.slice(0, length).replace_strict(_MONTH, default=None) for length in (4, 3))
    month = month.fill_null(name.cast(pl.Int64, strict=False))
    year, hour = pl.col("y").cast(pl.Int64, strict=False), pl.col("H").cast(pl.Int64, strict=False).fill_null(0)
    year = pl.when(pl.col("y").str.len_chars() <= 2).then(year + 2000).otherwise(year)
    half = pl.col("p").str.to_lowercase()
    hour = pl.when(half.is_not_null()).then(hour % 12 + pl.when(half == "p").then(12).otherwise(0)).otherwise(hour)
    clock = [pl.col(name).fill_null("0") for name in "MS"]
    day = pl.col("d").fill_null("1")
    moment = pl.format("{}-{}-{} {}:{}:{}", year, month, day, hour, *clock)
    zone = pl.col("z").str.to_lowercase().replace({name: f"{at:+03d}00" for name, at in _ZONES.items()})
    zone = zone.str.replace(":", "")
    hours, minutes = (zone.str.slice(at, 2).cast(pl.Int64, strict=False) for at in (1, 3))
    minutes = 60 * hours + minutes.fill_null(0)
    offset = pl.when(zone.str.starts_with("-")).then(-minutes).otherwise(minutes).fill_null(0)
    return parts.select(
        moment.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False).dt.epoch("s") - offset * 60
    ).to_series()


def _with_date(text: pl.Series, parts: pl.DataFrame, dates: str | None) -> pl.DataFrame:
    """Return year, month and day of dates; the whole column decides which number is the day and which the month."""
    first, second = (parts[name].cast(pl.Int64, strict=False) for name in "ab")
    year_first = (parts["a"].str.len_chars() > 2).fill_null(False)
    short = parts.filter(~year_first & parts["a"].is_not_null())
    day_first = dates == "day-first"
    if dates is None and len(short):
        days = int(((first > 12) & ~year_first).sum())
        months = int(((second > 12) & ~year_first).sum())
        dotted = short["s"][0] == "."  # dates with points have the day first in every country
        if days == months == 0 and not dotted and (short["a"].str.zfill(2) != short["b"].str.zfill(2)).any():
            raise InputError(
                f"{text.name}={shorten(text.drop_nulls()[0])}: day or month first? No date of the column shows it.",
                remedy=Advice.DATES,
            )
        day_first = days > months or (days == months and dotted)
    day, month = ("a", "b") if day_first else ("b", "a")
    return parts.with_columns(
        pl.when(year_first).then("a").otherwise("c").alias("y"),
        pl.when(year_first).then("b").otherwise(month).alias("m"),
        pl.when(year_first).then("c").otherwise(day).alias("d"),
    )
