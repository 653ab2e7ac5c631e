"""Names of columns: the known aliases, and the selection of columns by name or alias."""

import re
import unicodedata
from collections.abc import Collection, Mapping

import polars as pl

from reelated.errors import Advice, InputError, shorten

ColumnNames = Mapping[str, str | None] | None
"""Reelated's name → the table's name; None for a column that does not exist."""
Aliases = Mapping[str, tuple[str, ...]]

_IN_BRACKETS = re.compile(r"\s*[(\[].*[)\]]\s*$")
_RECBOLE_TYPE = re.compile(r":(token|float|token_seq|float_seq)$")


def plain(name: str) -> str:
    """Normalise a column name as in the aliases: `Movie_ID`, `movie_id:token`, `Movie ID (IMDb)` become `movieid`."""
    bare = unicodedata.normalize("NFKD", _RECBOLE_TYPE.sub("", name).lower())
    bare = _IN_BRACKETS.sub("", bare) or bare
    return "".join(filter(str.isalnum, bare))


def _words(text: str) -> tuple[str, ...]:
    """Return the words of a text without accents and marks, as column names are compared."""
    return tuple(map(plain, text.split()))


_USERS = (
    "user", "customer", "cust", "member", "reviewer", "visitor", "account", "client", "subscriber", "reader",
    "listener", "player", "viewer", "profile", "person", "buyer", "rater", "critic", "voter", "student", "household",
    "shopper", "guest", "learner", "worker", "playlist", "respondent",
    "benutzer", "nutzer", "kunde", "kunden", "utilisateur", "usuario", "cliente", "utente", "gebruiker", "klant",
    *_words("用户 用戶 使用者 客户 客戶 会员 會員 顾客 ユーザー ユーザ 利用者 顧客 会員 사용자 유저 회원 고객"),
    *_words("пользователь пользователя клиент клиента покупатель покупателя"),
)  # fmt: skip
_ITEMS = (
    "item", "movie", "product", "film", "book", "game", "artist", "track", "joke", "anime", "article", "business",
    "stock", "song", "recipe", "course", "show", "series", "manga", "beer", "video", "news", "app", "hotel",
    "restaurant", "place", "content", "music", "venue", "program", "episode", "album", "listing", "recording", "repo",
    "bookmark", "photo", "podcast", "paper",
    "artikel", "produkt", "buch", "spiel", "produit", "livre", "jeu", "articulo", "producto", "pelicula", "libro",
    "juego", "articolo", "prodotto", "produto", "filme", "livro", "boek", "spel",
    *_words("物品 商品 产品 產品 电影 電影 影片 图书 歌曲 アイテム 製品 作品 映画 書籍 상품 아이템 제품 영화 도서"),
    *_words("товар товара фильм фильма книга книги продукт продукта игра игры"),
    *_words("游戏 遊戲 音乐 ゲーム 楽曲 게임 음악 노래"), "title",
)  # fmt: skip
_ENDINGS = (
    *("id", "no", "nr", "num", "number", "nummer", "idx", "index", "key", "code"),
    *_words("编号 編號 コード 番号 번호 코드 아이디"),
)
_BEFORE = _words("id код código codice identifiant référence ref código_do código_del codice_del")
_NAMES = _words("title name titel titre titulo titolo 名称 名稱 名 タイトル 제목 이름 명")


def _ids(nouns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the usual names of an id, such as `movieid`, `movienr` and `idmovie`."""
    return (
        *(noun + ending for ending in _ENDINGS for noun in nouns),
        *(word + noun for word in _BEFORE for noun in nouns),
    )


_TITLES = (
    *(noun + ending for ending in _NAMES for noun in _ITEMS[:-1]),
    *(_words("название")[0] + noun for noun in _ITEMS[:-1]),
    "prodname",
)
RATING_ALIASES: dict[str, tuple[str, ...]] = {
    "user_id": (
        *_ids(_USERS), "user", "uid", *_USERS, "username", "customername", "membername", "benutzername", "kundenname",
        "nutzername", "nomutilisateur", "nombreusuario", "nomeutente", "gebruikersnaam", "profilename", "reviewername",
        "reviewprofilename", "email", "useremail", "customeremail", "emailaddress",
        "uuid", "deviceid", "steamid", "usermbid", "reviewers", "users", "cookieid", "cardid", "userpseudoid",
        "sessionid", "session",
        *_words("用户名 用戶名 ユーザー名 사용자이름 사용자명 имяпользователя"),
    ),
    "item_id": (
        *_ids(_ITEMS), *_ITEMS[:4], "iid", "isbn", "parentasin", "asin", *_ITEMS[4:], "sku", "beerbeerid", "gmapid",
        "sid", "tmdbid", "imdbid", "tconst", "malid", "bggid", "aid", "artistmbid", "items", "movies", "trackuri",
        "productsku", "clickarticleid", "adid", "jobid", "poiid", "locationid", *_TITLES,
    ),
    "rating": (
        "rating", "ratings", "score", "stars", "star", "value", "overall", "bookrating", "userrating", "myrating",
        "reviewscore", "reviewrating", "reviewoverall", "preference", "grade", "label",
        "ratingvalue", "ratingscore", "starrating", "overallrating", "userscore", "myscore", "rate", "vote",
        "points", "liked", "isrecommended", "recommended",
        "recommend", "ratingval", "bewertung", "wertung", "sternebewertung", "sterne", "punkte", "note",
        "etoiles",
        "calificacion", "valoracion", "puntuacion", "valutazione", "voto", "avaliacao", "nota", "beoordeling",
        *_words("评分 評分 打分 得分 分数 分數 星级 評価 レーティング スコア 点数 평점 별점 평가 점수"),
        *_words("оценка рейтинг балл"),
    ),
    "weight": (
        "weight", "plays", "playcount", "nplays", "listens", "listencount", "scrobbles", "hours", "hoursplayed",
        "playtime", "playtimeforever", "minutes", "msplayed", "secondsplayed", "minutesplayed",
        "watchtime", "quantity", "qty", "count", "counts", "views", "clicks", "purchases",
        "orders", "visits", "frequency", "times", "anzahl", "menge", "quantite", "cantidad", "quantita",
        "quantidade", "aantal",
        *_words("次数 次數 播放次数 数量 數量 回数 再生回数 횟수 수량 количество"),
    ),
    "event": (
        "event", "eventtype", "eventname", "action", "actiontype", "behavior", "behaviour", "behaviortype",
        "behaviourtype", "interaction", "interactiontype", "activity",
        *_words("行为 行為 行为类型 行動 행동 действие событие"),
    ),
    "timestamp": (
        "timestamp", "ts", "datetime", "date", "time", "unixtime", "unixreviewtime", "ratedat", "createdat",
        "reviewtime", "reviewdate", "ratingdate", "invoicedate", "tdat", "eventtime", "unixtimestamp", "timestampms",
        "daterated", "rateddate", "ratedon", "when", "dateadded", "addedat", "createdon", "reviewedat", "orderdate",
        "purchasedate", "transactiondate", "bestelldatum", "datum", "zeit", "zeitpunkt", "zeitstempel",
        "fecha", "horodatage", "utctimestamp", "eventtimestamp", "clicktimestamp", "checkintime",
        "eventdate", "datereviews",
        *_words("时间戳 日時 日付 日期 タイムスタンプ 일시 날짜 дата 评论时间 评分时间 評分時間"),
        *_words("时间 時間 時刻 시간 время"),
    ),
    "time_of_day": (
        "time", "clock", "ordertime", "transactiontime", "purchasetime", "eventtime", "uhrzeit", "zeit", "heure",
        "hora", "ora", "tijd", *_words("时间 時間 時刻 시간 время"),
    ),
    "order": ("order", "chronorank", "rank", "sequence", "position"),
}  # fmt: skip
ITEM_ALIASES: dict[str, tuple[str, ...]] = {
    "item_id": (
        *_ids(_ITEMS), "item", "iid", "isbn", "parentasin", "asin", "id", "sku", "gmapid", "malid", "bggid", "aid",
        "trackuri", "tmdbid",
        "imdbid", "tconst", *_ITEMS[:-1],
    ),
    "title": (
        "title", "name", *_TITLES, "titel", "titre", "titulo", "titolo", "primarytitle", "originaltitle", *_ITEMS[:-1],
        *_words("标题 標題 片名 书名 名称 名稱 タイトル 題名 제목 название наименование"),
    ),
    "year": (
        "year", "releaseyear", "startyear", "yearofpublication", "originalpublicationyear", "publicationyear", "jahr",
        "annee", "ano", "anno", "jaar",
        *_words("年份 年 公開年 上映年份 연도 년도 год"),
    ),
    "genres": (
        "genres", "genre", "categories", "category", "listedin", "class", "tags", "kategorie", "kategorien",
        "categorie", "categoria", "genero", "generos", "genere",
        *_words("类型 類型 类别 類別 分类 ジャンル カテゴリ カテゴリー 장르 카테고리 жанр жанры категория"),
    ),
    "release_date": ("releasedate", "released"),
    "imdb_id": ("imdbid", "imdb"),
    "tmdb_id": ("tmdbid", "tmdb"),
    "image": (
        "imageurl", "image", "imageurll", "imageurlm", "imgurl", "img", "posterurl", "poster", "coverurl", "cover",
        "coverimage", "thumbnailurl", "thumbnail", "pictureurl", "picture",
    ),
}  # fmt: skip
IMAGE_ADDRESS = r"^(?:https://|http://(?:127\.0\.0\.1|localhost)[:/])[!-~]+$"
"""The valid URLs of pictures: over TLS, or on this machine."""
USER_ALIASES: dict[str, tuple[str, ...]] = {
    "user_id": (*RATING_ALIASES["user_id"], "id"),
    "age": ("age",),
    "gender": ("gender", "sex"),
    "occupation": ("occupation", "job"),
    "zip_code": ("zipcode", "zip", "postcode"),
}


def match_columns(names: Collection[str], aliases: Aliases, columns: ColumnNames = None) -> dict[str, str]:
    """Return Reelated's name → the table's name, for columns that are given or recognised by an alias."""
    columns = columns or {}
    selected = {ours: str(theirs) for ours, theirs in columns.items() if theirs is not None}
    spelled = _last_parts(names) | {plain(name): name for name in reversed(list(names))}
    for ours, others in aliases.items():
        taken = set(selected.values())
        free = (spelled[word] for word in (plain(ours), *others) if word in spelled and spelled[word] not in taken)
        if ours not in columns and (found := next(free, None)):
            selected[ours] = found
    return selected


def _last_parts(names: Collection[str]) -> dict[str, str]:
    """Return the last part → the whole name of names with a common prefix, such as `review/userId`, `review/score`."""
    parts = [(*re.split(r"[./](?=[^./]+$)", name), name) for name in names if re.search(r"[./][^./]+$", name)]
    groups = [group for group, _, _ in parts]
    return {
        plain(last): name
        for group, last, name in reversed(parts)
        if groups.count(group) > 1 or plain(last).startswith(plain(group))
        if plain(last) != "title"  # the title of a review is not the item's title
    }


def named(
    frame: pl.DataFrame, aliases: Aliases, columns: ColumnNames = None, required: tuple[str, ...] = ()
) -> pl.DataFrame:
    """Select and rename columns that `columns` names (ours → the table's; None: none) or an alias identifies."""
    shown = ", ".join(shorten(name) for name in frame.columns[:20]) + ", …" * (frame.width > 20) or "none"
    parameter = "columns" if "rating" in aliases else "item_columns"
    for ours, theirs in (columns or {}).items():
        if ours not in aliases:
            expected = f"no such column in Reelated: expected one of {', '.join(map(repr, aliases))}."
            raise InputError(expected, parameter=parameter, value=theirs, key=ours)
        if theirs is not None and str(theirs) not in frame.columns:
            expected = f"the table has no such column. Its columns: {shown}."
            raise InputError(expected, parameter=parameter, value=theirs, key=ours)
    selected = match_columns(frame.columns, aliases, columns)
    missing = [name for name in required if name not in selected]
    if missing:
        free = [name for name in frame.columns if name not in selected.values()]
        raise InputError(
            f"No column for {' and '.join(missing)} among the table's columns {shown}.{_hint(missing, free)}",
            remedy=_remedy(missing, aliases, frame.columns),
        )
    return frame.select(pl.col(theirs).alias(ours) for ours, theirs in selected.items())


def _hint(missing: list[str], free: list[str]) -> str:
    """Return candidates for a missing column: the only unused column, or those whose names contain the word."""
    words = {
        "user_id": (*_USERS, "author"),
        "item_id": _ITEMS,
        "rating": ("rating", "score", "stars", "count", "quantity"),
    }
    near = {ours: next((name for name in free if any(map(plain(name).count, words[ours]))), "") for ours in missing}
    if "item_id" in missing:
        near["item_id"] = next((name for name in free if plain(name) == "id"), near["item_id"])
    if missing == ["rating"] and len(free) == 1:
        near = {"rating": free[0]}
    pairs = ", ".join(f"{shorten(theirs)} for {ours}" for ours, theirs in near.items() if theirs)
    return f" Did you mean {pairs}?" if pairs else ""


def _remedy(missing: list[str], aliases: Aliases, names: list[str]) -> str:
    if "title" in aliases:
        return Advice.NAME_ITEM_COLUMNS
    if "rating" not in aliases:
        return f"Rename the column that holds it to {missing[0]!r}."
    if "rating" in missing:
        return Advice.NAME_RATING
    one_person = missing[0] == "user_id" and match_columns(names, {"title": ITEM_ALIASES["title"]})
    return Advice.OWN_RATINGS if one_person else Advice.NAME_COLUMNS


def check_attributes(table: pl.DataFrame) -> None:
    """Raise `InputError` for a column of attributes that holds neither text, numbers nor dates."""
    for name, dtype in table.schema.items():
        scalar = dtype.is_numeric() or dtype in (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null)
        dated = dtype in (pl.Date, pl.Datetime)
        if not (scalar or dated or name.endswith("_id") or name == "image" or (name == "genres" and dtype == pl.List)):
            raise InputError(f"{name} is a column of type {dtype}: expected text, numbers or dates.")


def image_addresses(column: pl.Series) -> tuple[pl.Series, int]:
    """Return the first URL in each cell of a column of pictures, and the number of cells without a valid one."""
    if column.dtype == pl.List(pl.String):
        column = column.list.first()
    if column.dtype != pl.String:
        return pl.Series("image", [None] * len(column), dtype=pl.String), len(column) - column.null_count()
    text = column.str.strip_chars()
    kept = text.set(~text.str.contains(IMAGE_ADDRESS), None)
    return kept.alias("image"), int((text.fill_null("") != "").sum()) - kept.count()


def with_own_names(aliases: Aliases, columns: ColumnNames) -> dict[str, tuple[str, ...]]:
    """Return the aliases; the names of the id columns in the table of ratings come first."""
    own = {ours: (plain(str(theirs)),) for ours, theirs in (columns or {}).items() if theirs and ours.endswith("_id")}
    return {ours: (*own.get(ours, ()), *others) for ours, others in aliases.items()}
