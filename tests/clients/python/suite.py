"""The Segment SDK for Python as a server would use it: one call of each kind, or a few that must survive a lost answer.

Prints one line of JSON: the message id of every event, by call.

ODYSSEY_URL, ODYSSEY_WRITE_KEY, ODYSSEY_USER (a user id of this run), ODYSSEY_SCENARIO (`calls` or `retry`), ODYSSEY_GZIP (`1`
for compressed bodies)
"""

import json
import os
import sys

from segment.analytics.client import Client

user = os.environ["ODYSSEY_USER"]
anonymous = f"{user}-device"
failures = []

client = Client(
    os.environ["ODYSSEY_WRITE_KEY"],
    host=os.environ["ODYSSEY_URL"],
    gzip=os.environ.get("ODYSSEY_GZIP") == "1",
    max_retries=5,
    on_error=lambda error, items: failures.append(str(error)),
)


def calls():
    yield "identify", client.identify(user, {"email": f"{user}@example.com", "firstName": "Ünal"}, anonymous_id=anonymous)
    properties = {"product_id": "mug-01", "price": 14.5, "currency": "EUR", "quantity": 2}
    yield "track", client.track(user, "Product Added", properties)
    yield "page", client.page(user, "Docs", "Home", {"path": "/"})
    yield "screen", client.screen(user, "Shop", "Basket")
    yield "group", client.group(user, "g-1", {"plan": "pro"})
    yield "alias", client.alias(anonymous, user)


def retry():
    yield "track", client.track(user, "Order Completed", {"order_id": "o-1", "revenue": 29, "currency": "EUR"})


sent = {}
for name, (queued, message) in {"calls": calls, "retry": retry}[os.environ["ODYSSEY_SCENARIO"]]():
    if not queued:
        sys.exit(f"{name}: the client's queue is full")
    sent[name] = message["messageId"]
client.shutdown()
if failures:
    sys.exit("; ".join(failures))
print(json.dumps(sent))
