"""Consuming: a message of a topic, handed to one plugin in one place."""

from __future__ import annotations

from typing import Any

import msgspec

from tillhook.core.messaging.bus import delivery
from tillhook.core.plugins.shop import Shop
from tillhook.core.roles.duties import Permanent
from tillhook.core.roles.rooms import Topic
from tillhook.core.services.platform import Platform
from tillhook.core.services.rooms import errand_of, read_consumer
from tillhook.core.storage.events import Claimed


def consume(platform: Platform, claimed: Claimed) -> str:
    """Hand on one message; what it returns is shown with the delivery.

    Raises Permanent for a message that is not of the declared type and for a plugin that consumes the topic no more,
    Parked while it is switched off, Problem while the place has no shop, and whatever the plugin raises.
    """
    names = read_consumer(claimed.subscriber)
    assert names is not None, claimed.subscriber
    topic, plugin, place = names
    shop = platform.rooms.shop(place)
    shop.wait_for_muted(plugin, "topics")
    declared = _declared(shop, plugin, topic)
    if declared is None or declared.consume is None:
        raise Permanent(f"plugin {plugin!r} no longer consumes {topic!r} for {place}; enable it and replay")
    try:
        message: Any = msgspec.json.decode(claimed.payload, type=declared.payload)
    except msgspec.DecodeError as error:
        raise Permanent(f"topic {topic!r}: the message is no {declared.payload.__name__}: {error}") from error
    errand = errand_of(shop, plugin, platform.clock(), key=claimed.stream_key)
    before = msgspec.json.decode(claimed.headers).get("topics", ())
    with delivery(claimed.delivery_id, claimed.subscriber, (*before, topic)):
        shop.use(declared, "consume", errand, message, seconds=platform.system.hooks.duty_seconds)
    return ""


def _declared(shop: Shop, plugin: str, topic: str) -> Topic | None:
    for offered in shop.offers("topics"):
        found: Topic = offered.thing
        if (offered.plugin, found.name) == (plugin, topic):
            return found
    return None
