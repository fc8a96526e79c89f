"""Personal data in texts that users wrote."""

import pytest

from encoders.language.masking import MASK, masked

PERSONAL = {
    "write to jane.doe+news@example.co.uk please": "jane",
    "schreib an max.muster@beispiel.de": "muster",
    "jane (at) example (dot) com": "jane",
    "jane at example dot com": "jane",
    "我的邮箱是lihua@example.cn": "lihua",
    "邮箱：ｌｉｈｕａ＠ｅｘａｍｐｌｅ．ｃｎ": "ｌｉｈｕａ",
    "call me on +44 20 7946 0958": "7946",
    "call (212) 555-0187 now": "0187",
    "555-0187 555-0187": "0187",
    "Rufen Sie 030/1234567 an": "1234567",
    "appelez le 01 23 45 67 89": "45",
    "电话13812345678": "13812345678",
    "手机号：138-1234-5678": "1234",
    "電話 ０９０-１２３４-５６７８": "１２３４",
    "هاتف ٠١٢٣٤٥٦٧٨٩": "٠١٢٣",
    "card 4111 1111 1111 1111": "4111",
    "card 4111-1111-1111-1111 thanks": "1111",
    "my ssn is 078-05-1120": "05-1120",
    "身份证11010519491231002X": "1949",
    "身份证号码 110105194912310021": "1949",
    "passport E12345678": "E1234",
    "IBAN DE89 3704 0044 0532 0130 00": "3704",
    "GB82WEST12345698765432": "WEST",
    "I live at 221b Baker Street, London": "Baker",
    "ship it to 1600 Pennsylvania Ave. Suite 4": "Pennsylvania",
    "Wohnung: Hauptstraße 12a": "Hauptstraße",
    "j'habite 12 rue de la Paix": "Paix",
    "vivo en Calle Mayor 15": "Mayor",
    "via Roma 7": "Roma",
    "улица Ленина, д. 5": "Ленина",
    "我住在北京市海淀区中关村大街27号3单元502室": "27号",
    "上海市南京东路100号": "南京",
    "東京都渋谷区神南1丁目19番11号": "19番",
    "postcode SW1A 1AA": "SW1A",
    "follow @jane_doe_99": "jane_doe",
    "微信号：lihua1987": "lihua1987",
    "see https://example.com/reset?token=abc123": "token",
    "www.example.com/u/jane": "jane",
    "example.com/u/jane": "jane",
    "my server 192.168.10.14": "192",
    "key sk-abcdefghijklmnop1234": "abcdefgh",
    "+86 138 0013 8000": "0013",
    "+8613800138000 谢谢": "138",
    "打我电话一三八零零一三八零零零": "三八零零",
    "电话幺三八幺二三四五六七八": "二三四五",
    "1️⃣3️⃣8️⃣0️⃣0️⃣1️⃣3️⃣8️⃣0️⃣0️⃣0️⃣": "8️⃣0️⃣0️⃣",
    "①③⑧⑧⑧⑧⑧①②③④": "①②③④",
    "旧身份证110105491231002": "491231",
    "香港身份证 A123456(7)": "A123",
    "护照E12345678": "E12345",
    "银行卡6222 0212 3456 7890 123": "0212",
    "车牌京A·12345": "12345",
    "粤B D12345": "D12345",
    "3栋2单元501": "2单元",
    "5号楼1203室": "1203",
    "浙江省杭州市西湖区文三路附近": "西湖",
    "加我VX：lihua_1987": "lihua",
    "薇信 lihua1987": "lihua",
    "抖音号：lihua1987": "lihua",
    "12345678艾特qq点com": "艾特qq",
    "生日是1987年5月12日": "5月",
    "1987年5月12日出生": "5月",
    "born on 12/05/1987": "1987",
    "geboren am 12.05.1987": "1987",
    "my insta: jane_doe99": "jane",
    "Discord: jane#1234": "jane#",
    "send to 0x52908400098527886E0F7030069857D2E4169EE7": "5290",
    "mac 00:1A:2B:3C:4D:5E": "2B",
    "server 2001:db8::1": "db8",
    "at 39.90420, 116.40740": "116",
    "gb82west12345698765432": "9876",
    "P.O. Box 1234": "1234",
    "Springfield, IL 62704": "62704",
    "five five five oh one two three": "two three",
}
HARMLESS = [
    "Summer 2024",
    "on 2024-05-17 and 17.05.2024",
    "the years 1939-1945",
    "a population of 1,400,000",
    "1 400 000 people",
    "Apollo 11",
    "top 10 of 2023",
    "iPhone 15 Pro Max",
    "World War 2",
    "5 ways to cook rice",
    "Windows 3.11",
    "the road to nowhere",
    "路上的风景",
    "第100集",
    "100号公路",
    "二十四节气",
    "3:2 after 90 minutes",
    "E = mc2",
    "Robin Hood at night",
    "Ein Weg im Wald",
    "the bus stop. me too",
    "one two three four",
    "一二三四五",
    "三三两两",
    "杭州市的春天",
    "京A股大涨",
    "3:30 in the morning",
    "1.5, 2.5 and 3.5",
    "line: a drawing",
    "born in 1987",
    "第3栋楼",
    "vx nerve gas",
    "微博热搜",
    "keycap 5️⃣",
]


@pytest.mark.parametrize("text", PERSONAL)
def test_personal_data_is_masked(text: str) -> None:
    found = masked(text)
    assert MASK in found
    assert PERSONAL[text] not in found


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_stays(text: str) -> None:
    assert masked(text) == text


def test_words_around_stay() -> None:
    assert masked("lovely birds, mail jane@example.com or call 555-0187 today") == (
        "lovely birds, mail … or call … today"
    )


@pytest.mark.parametrize("text", list(PERSONAL))
def test_masking_twice_changes_nothing_more(text: str) -> None:
    assert masked(masked(text)) == masked(text)


def test_a_long_text_costs_no_minute() -> None:
    """Patterns without runaway backtracking: each text ends within the test's time limit."""
    for text in ("1 " * 10_000, "a" * 20_000, "a." * 10_000, "@" * 20_000, "路" * 5_000, "12 a " * 4_000):
        masked(text)
