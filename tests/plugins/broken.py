"""Broken plugins of every sort: the source of each, and what is said of it. ``acme-bad 0.3`` offers them as ``bad``."""


def guest(body: str, head: str = "") -> str:
    """A module with one plugin; the body of its class begins on line 5."""
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    return f"from tillhook import *\n{head}\n\nclass Guest(Plugin):\n{indented}\n"


def hook(signature: str, *lines: str) -> str:
    """A plugin that implements one hook: the decorator is on line 5, the first line of its body on line 7."""
    return guest("\n".join(["@hookimpl", f"def {signature}:", *(f"    {line}" for line in lines or ("return None",))]))


OFFERED_TWICE = hook(
    "tax_calculators(self)",
    "one = type('One', (), {'name': 'one', 'evaluate': lambda self, lines, store: None})",
    "return [one(), one()]",
)
NAMELESS = hook(
    "tax_calculators(self)",
    "return [type('One', (), {'name': '', 'evaluate': lambda self, lines, store: None})()]",
)

ODD_CAPABILITIES = hook(
    "payment_gateways(self)",
    "verbs = ('create_session', 'authorise', 'capture', 'cancel', 'refund', 'inquire', 'read_webhook')",
    "body = {'name': 'odd', 'capabilities': Capabilities(methods=None), **dict.fromkeys(verbs, print)}",
    "return [type('Odd', (), body)()]",
)


def vouching(issuer: str, algorithms: str) -> str:
    """A plugin whose identity provider has these attributes."""
    return hook(
        "identity_providers(self)",
        f"body = {{'name': 'odd', 'issuer': {issuer}, 'algorithms': {algorithms}}}",
        "return [type('Odd', (), {**body, **dict.fromkeys(('keys', 'accepts', 'principal'), print)})()]",
    )


CUT_AFTER = 0.5
"""Seconds, where something hangs. Where nothing does, as long as a busy machine may need."""


def limit_of(says: str) -> float:
    return CUT_AFTER if "did not" in says else 60


AT_IMPORT: dict[str, tuple[str, str]] = {
    "an import error": (
        "from tillhook import Gone",
        (
            "ImportError while importing guest_acme_bad:Guest: cannot import name 'Gone' from 'tillhook' "
            "(guest_acme_bad.py:1)"
        ),
    ),
    "a missing dependency": (
        "import json\nimport no_such_library.deep\n",
        "it needs the module 'no_such_library', which is not installed: install it (guest_acme_bad.py:2)",
    ),
    "a syntax error": (
        "x = 1\ndef broken(:\n",
        "SyntaxError while importing guest_acme_bad:Guest: invalid syntax (guest_acme_bad.py:2)",
    ),
    "anything raised at import": (
        "def read():\n    raise ValueError('no file\\n  of\\nthis name')\nread()",
        "ValueError while importing guest_acme_bad:Guest: no file of this name (guest_acme_bad.py:2)",
    ),
    "sys.exit at import": (
        "import sys\nsys.exit(3)",
        "SystemExit while importing guest_acme_bad:Guest: 3 (guest_acme_bad.py:2)",
    ),
    "an import that sleeps": (
        "import time\n\nwhile True: time.sleep(0.01)",
        "the import of guest_acme_bad:Guest did not end within 0.5 s: it hangs at guest_acme_bad.py:3 in <module>",
    ),
    "an import that never ends": (
        "x = 0\nwhile True: x += 1",
        "the import of guest_acme_bad:Guest did not end within 0.5 s: it hangs at guest_acme_bad.py:2 in <module>",
    ),
    "a wrong base class": (
        "class Guest:\n    pass",
        "guest_acme_bad:Guest is no class that inherits tillhook.Plugin (guest_acme_bad.py)",
    ),
    "an instance in place of the class": (
        "from tillhook import Plugin\nGuest = Plugin(None)",
        "guest_acme_bad:Guest is no class that inherits tillhook.Plugin (guest_acme_bad.py)",
    ),
    "an entry point to nothing": (
        "class Gues: pass",
        (
            "its entry point bad = guest_acme_bad:Guest leads nowhere: guest_acme_bad has no 'Guest', did you "
            "mean 'Gues'? (guest_acme_bad.py)"
        ),
    ),
    "a hook with wrong arguments": (
        hook("fulfil_order(self, ordr)"),
        "hook fulfil_order: takes 'ordr', the hook has order, store, outside (guest_acme_bad.py:5)",
    ),
    "a hook without self": (
        hook("fulfil_order(order)"),
        "hook fulfil_order: its first argument must be self (guest_acme_bad.py:5)",
    ),
    "a hook that is misspelt": (
        hook("fulfill_order(self, order)"),
        (
            "TypeError while importing guest_acme_bad:Guest: guest_acme_bad.Guest.fulfill_order is marked "
            "@hookimpl, but there is no such hook (guest_acme_bad.py:4)"
        ),
    ),
    "a hook that is not marked": (
        guest("def fulfil_order(self, order): ..."),
        (
            "TypeError while importing guest_acme_bad:Guest: guest_acme_bad.Guest.fulfil_order overrides a hook: "
            "mark it with @hookimpl (guest_acme_bad.py:4)"
        ),
    ),
    "a misspelt hook in a class that is mixed in": (
        (
            "from tillhook import *\nclass Mixed:\n    @hookimpl\n    def fulfill_order(self, order): ...\n"
            "class Guest(Mixed, Plugin): ..."
        ),
        "hook fulfill_order: there is no such hook (did you mean fulfil_order?) (guest_acme_bad.py:3)",
    ),
    "a hook that awaits": (
        guest("@hookimpl\nasync def order_created(self, order): ..."),
        (
            "hook order_created: must be a plain function that returns its answer: hooks neither await nor yield "
            "(guest_acme_bad.py:5)"
        ),
    ),
    "a hook that yields": (
        hook("item_feeds(self)", "yield 1"),
        (
            "hook item_feeds: must be a plain function that returns its answer: hooks neither await nor yield "
            "(guest_acme_bad.py:5)"
        ),
    ),
    "a hook that is no method": (
        guest("@hookimpl\n@staticmethod\ndef item_feeds(): ..."),
        "hook item_feeds: must be a plain method (guest_acme_bad.py:5)",
    ),
    "a hook that wants to be first": (
        guest("@hookimpl(tryfirst=True)\ndef item_feeds(self): ..."),
        (
            "hook item_feeds: tryfirst is not possible: the order of plugins is that of the configuration "
            "(guest_acme_bad.py:5)"
        ),
    ),
    "settings that are no Config": (
        guest("Settings = dict"),
        "its Settings must be a class that inherits tillhook.Config (guest_acme_bad.py:4)",
    ),
    "a later version of the hooks": (
        guest("hookspec_version = 3"),
        (
            "made for hooks of version 3, these are version 2 (1 is understood too): update tillhook, or install "
            "an older acme-bad (guest_acme_bad.py:4)"
        ),
    ),
    "an earlier version than is understood": (
        guest("hookspec_version = 0"),
        "made for hooks of version 0, these are version 2 (1 is understood too): update acme-bad (guest_acme_bad.py:4)",
    ),
    "a version 1 that may not be inherited": (
        guest(
            "hookspec_version = 1\ndef __init_subclass__(cls):\n    raise TypeError('final')\n"
            "@hookimpl\ndef routes(self): ..."
        ),
        "looking at guest_acme_bad:Guest raised TypeError: final (guest_acme_bad.py:7)",
    ),
    "a hook whose signature cannot be read": (
        guest("@hookimpl\ndef item_feeds(self): ...\nitem_feeds.__signature__ = 5"),
        (
            "looking at guest_acme_bad:Guest raised TypeError: unexpected object 5 in __signature__ attribute "
            "(guest_acme_bad.py)"
        ),
    ),
    "a class that leaves when it is looked at": (
        (
            "from tillhook import Plugin\nclass Odd(type):\n    def __dir__(cls): raise SystemExit(3)\n"
            "class Guest(Plugin, metaclass=Odd): ..."
        ),
        "looking at guest_acme_bad:Guest raised SystemExit: 3 (guest_acme_bad.py:3)",
    ),
    "a version that is no number": (
        guest("hookspec_version = '2'"),
        "its hookspec_version must be a whole number such as 2, it is '2' (guest_acme_bad.py:4)",
    ),
}

AT_START: dict[str, tuple[str, str]] = {
    "a plugin that raises when it is made": (
        guest("def __init__(self, settings):\n    raise KeyError('till')"),
        "making it raised KeyError: 'till' (guest_acme_bad.py:6)",
    ),
    "a plugin that hangs when it is made": (
        guest("def __init__(self, settings):\n    import time\n    while True: time.sleep(0.01)"),
        "making it did not end within 0.5 s: it hangs at guest_acme_bad.py:7 in Guest.__init__",
    ),
    "a plugin that leaves when it is made": (
        guest("def __init__(self, settings):\n    raise SystemExit('no paper')"),
        "making it raised SystemExit: no paper (guest_acme_bad.py:6)",
    ),
    "an offer that raises": (
        hook("item_feeds(self)", "return {}['feed']"),
        "hook item_feeds: raised KeyError: 'feed' (guest_acme_bad.py:7)",
    ),
    "an offer that leaves": (
        hook("item_feeds(self)", "raise SystemExit(4)"),
        "hook item_feeds: it called sys.exit(4) (guest_acme_bad.py:7)",
    ),
    "an offer that never ends": (
        hook("item_feeds(self)", "while True: pass"),
        (
            "hook item_feeds: plugin bad 0.3 did not answer within 0.5 s in item_feeds: it was at "
            "guest_acme_bad.py:7 in Guest.item_feeds (guest_acme_bad.py:5)"
        ),
    ),
    "offers that are none": (
        hook("tax_calculators(self)", "return [7]"),
        "hook tax_calculators: int is no TaxCalculator: it lacks evaluate, name (guest_acme_bad.py:5)",
    ),
    "an offer in place of a list of them": (
        hook("item_feeds(self)", "return 7"),
        "hook item_feeds: raised TypeError: 'int' object is not iterable (guest_acme_bad.py:5)",
    ),
    "an offer that lacks something": (
        hook("tax_calculators(self)", "return [type('Half', (), {'name': 'half'})()]"),
        "hook tax_calculators: Half is no TaxCalculator: it lacks evaluate (guest_acme_bad.py:5)",
    ),
    "an offer without a name": (
        NAMELESS,
        "hook tax_calculators: the name of One must be a text that is not empty, it is '' (guest_acme_bad.py:5)",
    ),
    "an offer whose name is too long": (
        NAMELESS.replace("'name': ''", "'name': 'n' * 65"),
        f"hook tax_calculators: the name {'n' * 65!r} is longer than 64 characters (guest_acme_bad.py:5)",
    ),
    "a gateway with capabilities that are none": (
        ODD_CAPABILITIES,
        (
            "hook payment_gateways: the capabilities of 'odd' are Capabilities: Expected `array`, got `null` - at "
            "`$.methods` (guest_acme_bad.py:5)"
        ),
    ),
    "an identity provider without an issuer": (
        vouching("None", "('RS256',)"),
        "hook identity_providers: the issuer of 'odd' must be a text, it is None (guest_acme_bad.py:5)",
    ),
    "an identity provider without algorithms": (
        vouching("'https://id.example'", "None"),
        (
            "hook identity_providers: the algorithms of 'odd' must be a tuple of texts, they are None "
            "(guest_acme_bad.py:5)"
        ),
    ),
    "offers of the same name": (
        OFFERED_TWICE,
        "hook tax_calculators: 'one' is offered twice, by plugin bad 0.3 and by plugin bad 0.3 (guest_acme_bad.py:5)",
    ),
    "a route without roles": (
        hook("routes(self)", "return [PluginRoute('GET', '/all', frozenset(), print)]"),
        (
            "hook routes: GET /all: it declares no roles: give it a frozenset of device, guest, operator, "
            "shopper, staff (guest_acme_bad.py:5)"
        ),
    ),
    "a hook that only its instance has": (
        guest("def __init__(self, settings):\n    self.order_created = hookimpl(lambda ordr: None)"),
        (
            "Plugin 'bad' for hook 'order_created' hookimpl definition: <lambda>(ordr) Argument(s) {'ordr'} "
            "are declared in the hookimpl but can not be found in the hookspec (guest_acme_bad.py:4)"
        ),
    ),
}


WHILE_SELLING: dict[str, tuple[str, str, str]] = {
    "raises": ("return {}['number']", "raised KeyError in transaction_id_for", 'guest_acme_bad.py", line 7'),
    "leaves": ("raise SystemExit(1)", "raised PluginExit in transaction_id_for", 'guest_acme_bad.py", line 7'),
    "never ends": (
        "while True: pass",
        "did not answer within 0.5 s in transaction_id_for",
        "guest_acme_bad.py:7 in Guest.transaction_id_for",
    ),
    "answers nonsense": (
        "return 7",
        "raised WrongAnswer in transaction_id_for",
        "plugin bad 0.3 must answer transaction_id_for with str | None, it answered int (guest_acme_bad.py:5)",
    ),
}
