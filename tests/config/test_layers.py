"""Settings in layers: who wins, where each came from, and what is said of what cannot be used."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import field

from tillhook.core.config.errors import ConfigError
from tillhook.core.config.layers import Layers
from tillhook.core.roles.settings import Config, Secret
from tillhook.core.roles.shop_settings import ShopSettings

NEEDED = {"plugins": [], "payment": {"gateway": "till"}, "taxes": {"calculator": "flat"}}


def layers(tables: dict[str, Any], **environ: str) -> Layers:
    return Layers({"*": NEEDED, "demo": {}, **tables}, "shop.toml", environ)


def shop(tables: dict[str, Any], region: str = "SE", store_id: str | None = None) -> ShopSettings:
    return layers(tables).shop_settings("demo", region, store_id, installed=("printer",))


def test_the_more_specific_layer_wins_and_tables_are_merged() -> None:
    found = layers(
        {
            "*/SE": {"basket": {"max_lines": 2}, "printer": {"a": 1, "b": [1, 2]}},
            "demo": {"basket": {"max_lines": 3}, "printer": {"b": [3]}},
            "demo/SE": {"basket": {"max_lines": 4}},
            "demo/SE/s1": {"basket": {"max_lines": 5}},
        }
    )
    assert found.effective("demo", "SE", "s1")["basket"] == {"max_lines": 5}
    assert found.effective("demo", "SE", "s2")["basket"] == {"max_lines": 4}
    assert found.effective("demo", "DK")["basket"] == {"max_lines": 3}
    assert found.effective("other", "SE")["basket"] == {"max_lines": 2}
    assert found.effective("demo", "SE")["printer"] == {"a": 1, "b": [3]}


def test_reading_the_effective_settings_of_one_place_leaves_the_other_places_alone() -> None:
    found = layers({"*": {"printer": {}}, "demo/SE": {"printer": {"a": 1}}, "demo/DK": {"printer": {"b": 1}}})
    found.effective("demo", "SE")["printer"]["c"] = 1
    assert found.effective("demo", "DK")["printer"] == {"b": 1}


Tables = st.recursive(
    st.dictionaries(st.sampled_from("abc"), st.integers(), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner | st.integers(), max_size=3),
    max_leaves=6,
)


def lookup(table: Any, names: list[str]) -> Any:
    for name in names:
        table = table[name]
    return table


@given(Tables, Tables, Tables)
def test_every_setting_has_the_value_of_the_layer_that_it_is_said_to_come_from(
    broad: dict[str, Any], middle: dict[str, Any], narrow: dict[str, Any]
) -> None:
    tables = {"*": broad, "demo": middle, "demo/SE": narrow}
    found = Layers(tables, "shop.toml", {})
    explained = [one for one in found.explain("demo", "SE") if one.layer != "default"]
    for one in explained:
        assert lookup(tables[one.layer], one.name.split(".")) == one.value
        assert lookup(found.effective("demo", "SE"), one.name.split(".")) == one.value
    names = {one.name for one in explained}
    assert all(name in names or any(known.startswith(f"{name}.") for known in names) for name in narrow)


def test_explain_tells_the_layer_of_each_setting_and_the_defaults() -> None:
    class Printer(Config, frozen=True, kw_only=True):
        width: int = 42
        paper: str

    found = layers({"demo": {"printer": {"paper": "thin"}}, "demo/SE": {"basket": {"max_lines": 7}}})
    explained = {one.name: (one.value, one.layer) for one in found.explain("demo", "SE", plugins={"printer": Printer})}
    assert explained["payment.gateway"] == ("till", "*")
    assert explained["basket.max_lines"] == (7, "demo/SE")
    assert explained["basket.expires_minutes"] == (240, "default")
    assert explained["payment.methods"] == ((), "default")
    assert explained["printer.paper"] == ("thin", "demo")
    assert explained["printer.width"] == (42, "default")


def test_the_path_lists_the_layers_that_exist_from_broad_to_specific() -> None:
    found = layers({"demo/SE": {}, "demo/SE/s1": {}, "*/DK": {}})
    assert found.path("demo", "SE", "s1") == ("*", "demo", "demo/SE", "demo/SE/s1")
    assert found.path("demo", "SE", "s2") == ("*", "demo", "demo/SE")
    assert found.path("demo", "DK") == ("*", "*/DK", "demo")


def test_places_are_every_region_and_store_that_the_file_speaks_of() -> None:
    found = layers({"demo/SE": {}, "demo/DK/s1": {}, "kiosk": {}, "*/NO": {}})
    assert found.store_types() == ("demo", "kiosk")
    assert set(found.places()) == {
        ("demo", "SE", None),
        ("demo", "DK", None),
        ("demo", "DK", "s1"),
        ("kiosk", "", None),
    }


@pytest.mark.parametrize("key", ["demo/se", "demo/SE/", "de mo", "*/SE/s1", "demo/SWE", "**", "demo/SE/s1/x", ""])
def test_a_key_that_is_no_layer_is_refused_by_name(key: str) -> None:
    with pytest.raises(ConfigError, match="is no layer") as refused:
        layers({key: {}})
    assert key in str(refused.value)


def test_a_top_level_setting_outside_of_any_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"shop\.toml: port: must be a table"):
        Layers({"port": 1}, "shop.toml", {})


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        (
            {"demo/SE": {"payment": {"gatway": "x"}}},
            "\"demo/SE\".payment.gatway: there is no such setting (did you mean 'gateway'?)",
        ),
        ({"demo": {"pluggins": []}}, "demo.pluggins: is neither a setting nor a plugin (did you mean 'plugins'?)"),
        ({"demo": {"printr": {}}}, "demo.printr: is neither a setting nor a plugin (did you mean 'printer'?)"),
        ({"demo": {"basket": {"max_lines": "many"}}}, "demo.basket.max_lines: Expected `int`, got `str`"),
        ({"demo": {"basket": {"max_lines": 0}}}, "demo.basket.max_lines: Expected `int` >= 1"),
        ({"demo": {"basket": 3}}, "demo.basket: Expected a table, got `int`"),
        ({"demo": {"plugins": ["a", 1]}}, "demo.plugins[1]: Expected `str`, got `int`"),
        ({"demo": {"plugins": ["a", "b", "a"]}}, "demo.plugins: names a twice"),
        ({"demo": {"order": {"auto_verify": "no"}}}, "demo.order.auto_verify: Expected `bool`, got `str`"),
        ({"*": {"plugins": [], "taxes": {"calculator": "flat"}}}, "demo.payment.gateway: is missing"),
        ({"*": {"payment": {"gateway": "x"}, "taxes": {"calculator": "flat"}}}, "demo.plugins: is missing"),
        (
            {"*": {**NEEDED, "taxes": {}}},
            '"*".taxes.calculator: is missing',
        ),
    ],
)
def test_what_cannot_be_used_is_told_with_file_layer_and_path(tables: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        shop(tables)
    assert str(refused.value) == f"shop.toml: {says}"


def test_a_mistake_in_one_region_leaves_the_other_regions_alone() -> None:
    tables = {"demo/SE": {"payment": {"gatway": "x"}}}
    assert shop(tables, "DK").payment.gateway == "till"
    with pytest.raises(ConfigError):
        shop(tables, "SE")


def test_the_table_of_a_plugin_that_is_switched_on_elsewhere_is_no_mistake() -> None:
    assert shop({"*": {**NEEDED, "loyalty": {"a": 1}}, "kiosk": {"plugins": ["loyalty"]}}).plugins == ()


class Rate(Config, frozen=True):
    percent: int


class Reader(Config, frozen=True):
    width: int = 1
    key: Secret | None = None
    rates: dict[str, Rate] = field(default_factory=dict)
    steps: list[Rate] = field(default_factory=list)
    best: Rate | None = None


def reader(table: Any, **environ: str) -> Reader:
    return layers({"demo/SE": {"reader": table}}, **environ).plugin_settings("reader", Reader, "demo", "SE")


def test_a_plugin_gets_its_own_table_as_its_settings() -> None:
    assert reader({"width": 3, "rates": {"a": {"percent": 5}}}) == Reader(width=3, rates={"a": Rate(percent=5)})


def test_a_plugin_without_a_table_gets_its_defaults() -> None:
    assert layers({}).plugin_settings("reader", Reader, "demo", "SE") == Reader()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"widht": 3}, "reader.widht: there is no such setting (did you mean 'width'?)"),
        ({"width": "3"}, "reader.width: Expected `int`, got `str`"),
        ({"rates": {"a": {"percnt": 5}}}, "reader.rates.a.percnt: there is no such setting (did you mean 'percent'?)"),
        ({"steps": [{"percent": 1}, {}]}, "reader.steps[1].percent: is missing"),
        ({"best": {"percent": 1, "x": 2}}, "reader.best.x: there is no such setting (known: percent)"),
        (7, "reader: must be a table with the settings of the plugin reader"),
    ],
)
def test_a_mistake_in_a_plugins_table_is_told_with_its_path(table: Any, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        reader(table)
    assert str(refused.value) == f'shop.toml: "demo/SE".{says}'


def test_a_secret_is_read_from_the_variable_that_is_named_and_prints_as_stars() -> None:
    found = reader({"key": "env:READER_KEY"}, READER_KEY="hunter2")
    assert found.key is not None
    assert found.key.reveal() == "hunter2"
    assert "hunter2" not in f"{found} {found!r}"


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(ConfigError, match=r'"demo/SE"\.reader\.key: the environment variable READER_KEY is not set'):
        reader({"key": "env:READER_KEY"})


@pytest.mark.parametrize("value", ["hunter2", "env:8", "env:a b", 42])
def test_a_secret_that_is_written_into_the_file_is_refused_without_showing_it(value: Any) -> None:
    with pytest.raises(ConfigError, match='name the variable that holds it, as "env:NAME"') as refused:
        reader({"key": value})
    assert str(value) not in str(refused.value)
