"""Guests for the tests of the host: a till that takes money and taxes, and distributions that are really installed."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tillhook import (
    Answer,
    Capabilities,
    Captured,
    Notification,
    Outcome,
    Outside,
    PaymentGateway,
    PaymentRequest,
    PaymentSession,
    Plugin,
    SessionRequest,
    Store,
    Taxable,
    TaxCalculator,
    TaxResult,
    hookimpl,
)
from tillhook.core.config.layers import Layers
from tillhook.core.plugins.discovery import Found
from tillhook.core.plugins.guard import Guard
from tillhook.core.plugins.host import Host

STORE = Store("s1", "demo", "SE", "Corner shop", "SEK", "Europe/Stockholm", "demo", "1")


class CashGateway:
    """Takes everything."""

    def __init__(self, name: str = "cash", methods: tuple[str, ...] = ("cash",)) -> None:
        self.name = name
        self.capabilities = Capabilities(methods=methods)

    def create_session(self, request: SessionRequest, outside: Outside) -> PaymentSession:
        return PaymentSession(client_secret="-", payment_methods=self.capabilities.methods)

    def authorise(self, request: PaymentRequest, outside: Outside) -> Outcome:
        return Captured(request.merchant_reference, request.amount)

    capture = cancel = refund = inquire = authorise

    def read_webhook(self, headers: Mapping[str, str], raw_body: bytes) -> Notification:
        raise ValueError("this provider sends none")


class NoTax:
    """Taxes nothing."""

    name = "free"

    def evaluate(self, lines: Sequence[Taxable], store: Store) -> TaxResult:
        return TaxResult(included=True, total_tax=0, breakup=(), by_line=tuple((line.line_no, 0) for line in lines))


class Till(Plugin):
    """What every shop needs."""

    @hookimpl
    def payment_gateways(self) -> Sequence[PaymentGateway]:
        return (CashGateway(),)

    @hookimpl
    def tax_calculators(self) -> Sequence[TaxCalculator]:
        return (NoTax(),)


class Lent:
    """An ``Outside`` that knows for whom it is."""

    def __init__(self, plugin: str, store_type: str) -> None:
        self.plugin = plugin
        self.store_type = store_type

    def request(self, method: str, url: str, **_: Any) -> Answer:
        raise AssertionError(f"nobody here calls {method} {url}")

    def publish(self, topic: str, *, key: str, value: Any) -> None:
        raise AssertionError(f"nobody here publishes to {topic} {key} {value}")


def found(name: str, plugin_class: type[Plugin], version: str = "1.0") -> Found:
    return Found(name, f"acme-{name}", version, f"acme:{plugin_class.__name__}", plugin_class)


def configured(tables: Mapping[str, Any], **environ: str) -> Layers:
    """Layers in which every shop pays cash and taxes nothing; ``till`` must be among its plugins."""
    needed = {"payment": {"gateway": "cash"}, "taxes": {"calculator": "free"}}
    return Layers({"*": needed, **tables}, "shop.toml", environ)


def hosting(
    tables: Mapping[str, Any],
    plugins: Mapping[str, type[Plugin]],
    observe: Callable[[str, str, float, bool], None] = lambda plugin, hook, seconds, failed: None,
    guard: Guard | None = None,
) -> Host:
    """A host of these classes and of ``till``."""
    everybody = [found("till", Till), *map(found, plugins, plugins.values())]
    return Host(configured(tables), everybody, Lent, observe, guard)


class Installer:
    """Writes distributions to a folder of ``sys.path``, as an installer would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str, source: str, *, entry: str, version: str = "1.0", attribute: str = "Guest") -> None:
        """Distribution ``name`` whose entry point ``entry`` is ``attribute`` of a module with this ``source``."""
        module = f"guest_{name.replace('-', '_')}"
        (self.folder / f"{module}.py").write_text(source)
        self.describe(name, f"[tillhook]\n{entry} = {module}:{attribute}\n", version)

    def describe(self, name: str, entry_points: str, version: str = "1.0") -> None:
        """Its metadata only."""
        folder = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (folder / "entry_points.txt").write_text(entry_points)
