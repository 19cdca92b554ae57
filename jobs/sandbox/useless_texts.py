"""Alt-texts that say nothing about their picture, as the web is full of them."""

from collections.abc import Callable, Mapping

from jobs.sandbox.seeded import Draws
from jobs.sandbox.trouble import CaptionKind
from jobs.sandbox.vocabulary import COLOURS, SHAPES

_STEMS = ("IMG", "DSC", "DSCN", "P", "image", "photo", "screenshot", "scan", "product", "banner", "header_bg")
_EXTENSIONS = ("jpg", "JPG", "jpeg", "png", "webp", "gif")

_PLACEHOLDERS = (
    *("image", "photo", "picture", "img", "untitled", "thumbnail", "placeholder", "alt text", "no description"),
    *("image description", "default image", "photo thumbnail", "picture placeholder", "loading image", "no image"),
)

_SEARCH_WORDS = (
    *("buy", "cheap", "sale", "discount", "best price", "online shop", "free shipping", "wallpaper", "clipart"),
    *("download", "png", "vector", "stock photo", "hd", "4k", "2021", "new", "top 10", "deals", "coupon", "review"),
)

_LONE_WORDS = ("home", "logo", "menu", "search", "banner", "close", "next", "avatar", "icon", "share", "gallery")

_PHRASES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (
        (
            "Klicken Sie hier, um",
            "Sie können das Bild öffnen und",
            "Bitte wählen Sie, ob Sie",
            "Hier finden Sie, wie Sie",
        ),
        ("das Bild zu vergrößern und die Seite zu drucken", "unsere neuen Angebote für den Sommer sehen"),
    ),
    (
        ("Cliquez ici pour", "Nous vous proposons de", "Vous pouvez aussi", "N'oubliez pas de"),
        ("agrandir la photo et voir les autres produits", "découvrir notre nouvelle collection d'été à la maison"),
    ),
    (
        ("Haga clic aquí para", "También puede", "No se olvide de", "Aquí los clientes pueden"),
        ("ampliar la foto y ver los otros productos de la tienda", "descubrir nuestra nueva colección de verano"),
    ),
    (
        ("Fare clic qui per", "Non dimenticate di", "Nel nostro negozio potete", "Qui si può"),
        ("ingrandire la foto e vedere gli altri prodotti", "scoprire la nuova collezione della nostra azienda"),
    ),
    (
        ("Clique aqui para", "Você também pode", "Não se esqueça de", "Na nossa loja você pode"),
        ("ampliar a foto e ver os outros produtos", "descobrir a nova coleção de verão da nossa loja"),
    ),
    (
        ("Нажмите здесь, чтобы", "Вы также можете", "Не забудьте", "В нашем магазине можно"),
        ("увеличить фотографию и посмотреть другие товары", "узнать больше о новой летней коллекции"),
    ),
    (
        ("点击此处", "您还可以", "请不要忘记", "在我们的商店您可以"),
        ("放大图片并查看其他产品", "了解我们全新的夏季系列商品"),
    ),
    (
        ("ここをクリックして", "お店では", "お忘れなく", "こちらから"),
        ("画像を拡大し、他の商品をご覧ください", "新しい夏のコレクションをご覧いただけます"),
    ),
    (
        ("انقر هنا من أجل", "يمكنك أيضا", "لا تنس", "في متجرنا يمكنك"),
        ("تكبير الصورة ومشاهدة المنتجات الأخرى", "اكتشاف مجموعتنا الصيفية الجديدة"),
    ),
)
"""Openings and endings in nine languages."""

_ENTITIES = (
    *("&nbsp;", "&amp;nbsp;", "&#160;", "&lt;br/&gt;", "&quot;", "&raquo;", "&#8203;", "&lt;/p&gt;", "&hellip;"),
    *("&lt;img src=&quot;&quot;&gt;", "&copy;", "&#x27;", "&lt;span&gt;", "&lt;/span&gt;", "&bull;", "&amp;amp;"),
)

_PAGE_SENTENCES = (
    "Our store was founded in {n} and has served customers in more than {m} countries ever since.",
    "Orders placed before {m} o'clock are shipped on the same day, except on Sundays and holidays.",
    "Please read the terms and conditions carefully before you place an order with us.",
    "This item was rated {m} times and has been viewed by {n} visitors during the last week.",
    "Returns are accepted within {m} days if the product is unused and in its original packaging.",
    "We use cookies to improve your experience, to analyse traffic and to show you offers.",
    "Subscribe to our newsletter and be the first to hear about new arrivals and discounts.",
    "All prices include taxes; shipping costs are calculated at checkout for item number {n}.",
    "Questions? Our support team answers most messages within {m} hours on working days.",
    "The material is durable, easy to clean and was tested in our own laboratory in {n}.",
)


def useless_text(kind: CaptionKind, draws: Draws) -> str:
    """Returns an alt-text of one of the useless kinds.

    Raises:
        KeyError: if the kind is not one of them.
    """
    return _WRITERS[kind](draws)


def _file_name(draws: Draws) -> str:
    stem, extension, number = draws.pick(_STEMS), draws.pick(_EXTENSIONS), draws.below(90_000) + 1000
    form = draws.below(4)
    if form == 0:
        return f"{stem}_{number}.{extension}"
    if form == 1:
        year, month, day = 2009 + draws.below(15), 1 + draws.below(12), 1 + draws.below(28)
        return f"{stem}_{year}{month:02d}{day:02d}_{number:06d}.{extension}"
    if form == 2:
        return f"{stem}-{number}-{300 + draws.below(8) * 100}x{200 + draws.below(8) * 100}.{extension}"
    return f"{draws.below(2**40):010x}_{draws.pick(('o', 'b', 'large', 'n'))}.{extension}"


def _placeholder(draws: Draws) -> str:
    text = draws.pick(_PLACEHOLDERS)
    if draws.chance(0.4):
        text = f"{text} {draws.below(40) + 1}"
    return text.capitalize() if draws.chance(0.4) else text


def _seo_list(draws: Draws) -> str:
    topic = draws.pick(SHAPES)
    terms = [f"{draws.pick(_SEARCH_WORDS)} {topic}" for _ in range(3 + draws.below(3))]
    terms += [f"{topic} {word}" for word in draws.shuffled(_SEARCH_WORDS)[: 4 + draws.below(5)]]
    return draws.pick((", ", " | ", ",")).join(draws.shuffled(terms))


def _one_word(draws: Draws) -> str:
    word = draws.pick(draws.pick((_LONE_WORDS, SHAPES, tuple(COLOURS))))
    return word.capitalize() if draws.chance(0.5) else word


def _wrong_language(draws: Draws) -> str:
    openings, endings = draws.pick(_PHRASES)
    return f"{draws.pick(openings)} {draws.pick(endings)}"


def _html_entities(draws: Draws) -> str:
    joint = draws.pick(("", " "))
    return joint.join(draws.pick(_ENTITIES) for _ in range(5 + draws.below(12)))


def _too_long(draws: Draws) -> str:
    text = ""
    while len(text) < 2000:
        sentence = draws.pick(_PAGE_SENTENCES)
        text += sentence.format(n=1900 + draws.below(120), m=2 + draws.below(60)) + " "
    return text.strip().ljust(2000, ".")


_WRITERS: Mapping[CaptionKind, Callable[[Draws], str]] = {
    CaptionKind.FILE_NAME: _file_name,
    CaptionKind.PLACEHOLDER: _placeholder,
    CaptionKind.SEO_LIST: _seo_list,
    CaptionKind.ONE_WORD: _one_word,
    CaptionKind.WRONG_LANGUAGE: _wrong_language,
    CaptionKind.HTML_ENTITIES: _html_entities,
    CaptionKind.TOO_LONG: _too_long,
}
