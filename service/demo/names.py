"""The words out of which the demo's records are made: companies, streets and cities of many scripts, and
goods.

Only values; nothing is chosen here. The scripts are there on purpose: umlauts, Chinese, Greek, Cyrillic,
Arabic (written from right to left), combining characters and emoji must all arrive as they were sent.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Country(NamedTuple):
    """How names, addresses and telephone numbers of one country look."""

    code: str
    prefix: str
    domain: str
    pattern: str
    """A company's name; {family}, {other} and {trade} are filled in."""
    families: tuple[str, ...]
    trades: tuple[str, ...]
    streets: tuple[str, ...]
    cities: tuple[tuple[str, str], ...]
    """(city, postcode)"""


COUNTRIES: Final = (
    Country(
        "DE", "+49", "example.de", "{family} & {other} {trade} GmbH",
        ("Müller", "Schäfer", "Groß", "Weiß", "Köhler", "Jäger", "Yılmaz", "von der Heide", "Böhm", "Krüger"),
        ("Metallbau", "Werkzeuge", "Großhandel", "Gebäudetechnik", "Möbel"),
        ("Königstraße", "Am Güterbahnhof", "Lindenweg", "Gewerbepark Süd", "Äußere Bayreuther Straße"),
        (("München", "80331"), ("Köln", "50667"), ("Nürnberg", "90402"),
         ("Görlitz", "02826"), ("Lübeck", "23552")),
    ),
    Country(
        "CN", "+86", "example.cn", "{family}{trade}有限公司",
        ("华兴", "东方", "长城", "金龙", "瑞丰", "永昌", "天宇", "鑫达", "海联", "𠮷祥"),
        ("五金", "机械设备", "建材", "电子科技", "贸易"),
        ("中山路", "人民大道", "南京西路", "科技园路", "解放北路"),
        (("上海市", "200040"), ("深圳市", "518057"), ("成都市", "610021"), ("哈尔滨市", "150010")),
    ),
    Country(
        "FR", "+33", "example.fr", "{trade} {family} et Fils",
        ("Lefèvre", "Béranger", "Dùpont", "Saint-Étienne", "L’Hôpital", "Garçon", "Noël", "Œuvrard"),
        ("Quincaillerie", "Établissements", "Société", "Ateliers"),
        ("rue de l’Église", "avenue du Général-Leclerc", "chemin des Mûriers", "place d’Armes"),
        (("Orléans", "45000"), ("Nîmes", "30000"), ("Besançon", "25000"), ("Saint-Malo", "35400")),
    ),
    Country(
        "PL", "+48", "example.pl", "{trade} {family} sp. z o.o.",
        ("Wójcik", "Kołodziej", "Źrebiec", "Dąbrowski", "Święch", "Gałązka"),
        ("Hurtownia", "Zakład", "Przedsiębiorstwo"),
        ("ul. Łąkowa", "ul. Świętokrzyska", "al. Jerozolimskie"),
        (("Łódź", "90-001"), ("Kraków", "30-001"), ("Gdańsk", "80-001"), ("Wrocław", "50-001")),
    ),
    Country(
        "GR", "+30", "example.gr", "{trade} {family} Α.Ε.",
        ("Παπαδόπουλος", "Γεωργίου", "Νικολάου", "Οικονόμου"),
        ("Σιδηρικά", "Εμπορική", "Βιομηχανία"),
        ("Ερμού", "Λεωφόρος Κηφισίας", "Αριστοτέλους"),
        (("Αθήνα", "105 57"), ("Θεσσαλονίκη", "546 24"), ("Πάτρα", "262 21")),
    ),
    Country(
        "US", "+1", "example.com", "{family}, {other} & Sons {trade} Inc.",
        ("O'Brien", "Smith", "Nguyen", "García", "Washington", "McAllister", "DeLaCruz"),
        ("Hardware", "Supply", "Fixtures", "Tool & Die"),
        ("Main Street", "Industrial Pkwy, Bldg.", "W. 5th Ave. #", "Route"),
        (("St. Louis, MO", "63101"), ("Winston-Salem, NC", "27101"), ("Cañon City, CO", "81212")),
    ),
    Country(
        "JP", "+81", "example.jp", "株式会社{family}{trade}",
        ("高橋", "渡邉", "斎藤", "さくら", "ミツワ", "髙島"),
        ("工業", "商事", "製作所"),
        ("千代田区丸の内", "中央区銀座", "港区芝浦"),
        (("東京都", "100-0005"), ("大阪市", "530-0001"), ("札幌市", "060-0001")),
    ),
    Country(
        "UA", "+380", "example.ua", "ТОВ «{family} {trade}»",
        ("Шевченко", "Ґалаґан", "Їжакевич", "Коваль"),
        ("Метал", "Буд", "Торг"),
        ("вул. Хрещатик", "просп. Свободи", "вул. Європейська"),
        (("Київ", "01001"), ("Львів", "79000"), ("Одеса", "65000")),
    ),
    Country(
        "AE", "+971", "example.ae", "شركة {family} {trade}",
        ("الأمل", "النور", "الخليج", "الفارس"),
        ("للتجارة", "للمعدات", "للبناء"),
        ("شارع الشيخ زايد", "شارع المطار", "شارع الكورنيش"),
        (("دبي", "00000"), ("أبو ظبي", "00000"), ("الشارقة", "00000")),
    ),
    Country(
        "SE", "+46", "example.se", "{family}s {trade} AB ⚙️",
        ("Åkesson", "Öberg", "Sjöström", "Lindqvist", "Älvdal"),
        ("Järn", "Bygg", "Mekaniska"),
        ("Storgatan", "Västra Hamngatan", "Björkvägen"),
        (("Malmö", "211 20"), ("Göteborg", "411 17"), ("Örebro", "702 10")),
    ),
)  # fmt: skip

PHRASES: Final = (
    "calls before delivery 📞",
    "Zahlt pünktlich, möchte Skonto",
    "请在工作日上午送货",
    'only the rear gate; "mind the dog" 🐕',
    "prefers e-mail -- never by 'phone",
    "livraison à l’étage, prévenir M. Lefèvre",
    "Rabatt 3 % ab 1.000 €",
    "back\\slash, comma; and a\ttab",
    "two lines\nof text",
    "customer since 1998 🎉",
    "doorbell is broken 👩‍🔧",
)

GOODS: Final = (
    ("hexagon bolt", "piece"), ("threaded rod", "metre"), ("wood screw", "kilogram"), ("anchor", "piece"),
    ("drill bit", "set"), ("steel cable", "metre"), ("hinge", "piece"), ("washer", "kilogram"),
    ("bracket", "piece"), ("wrench", "set"),
)  # fmt: skip
"""(name, unit)"""

SIZES: Final = tuple(
    f"M{thread}×{length}" for thread in (4, 5, 6, 8, 10, 12, 16, 20) for length in (20, 40, 60, 80, 120)
)
MATERIALS: Final = (
    "stainless A2",
    "stainless A4",
    "galvanised",
    "brass",
    "hot-dip galvanised",
    "ölbeständig",
)
ADJECTIVES: Final = ("Standard", "Heavy-duty", "Fine", "Säurefeste", "Classic", "Pro")
