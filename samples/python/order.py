"""Another system in Python: registers users and products, charges wallets and orders, without HTTP.

It writes commands to Kafka, reads their outcomes from `command-results` and what became of the orders from
`order-events`. docs/contract.md tells the rules; every call of the shop's own that is needed is in here.

    scripts/samples python --kafka HOST:9092 --registry http://HOST:8081
"""

import argparse
import io
import json
import struct
import sys
import time
import urllib.request

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

PRICE = 1_200
STOCK = 10
CHARGE = 50_000
QUANTITY = 2
PATIENCE_S = 60
USERS, PRODUCTS = 0, 1


class Registry:
    """The schemas, by the ids that records begin with (Confluent's wire format)."""

    def __init__(self, url, topic_prefix):
        self.url, self.topic_prefix = url.rstrip("/"), topic_prefix
        self.by_id, self.by_topic = {}, {}

    def get(self, path):
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return json.load(answer)

    def encode(self, topic, value):
        if topic not in self.by_topic:
            found = self.get(f"/subjects/{self.topic_prefix}{topic}-value/versions/latest")
            self.by_topic[topic] = found["id"], fastavro.parse_schema(json.loads(found["schema"]))
        schema_id, schema = self.by_topic[topic]
        out = io.BytesIO(struct.pack(">bI", 0, schema_id))
        out.seek(5)
        fastavro.schemaless_writer(out, schema, value)
        return out.getvalue()

    def decode(self, record):
        magic, schema_id = struct.unpack(">bI", record[:5])
        if magic != 0:
            raise ValueError(f"a record begins with {magic}, not with 0")
        if schema_id not in self.by_id:
            found = self.get(f"/schemas/ids/{schema_id}")
            self.by_id[schema_id] = fastavro.parse_schema(json.loads(found["schema"]))
        return fastavro.schemaless_reader(io.BytesIO(record[5:]), self.by_id[schema_id], None)


def target_of(command_id):
    """Role and id that a command id names: a UUIDv8 of role (1 bit), id (53 bits) and hash of the key."""
    number = int.from_bytes(command_id, "big")
    role_and_id = (number >> 80) << 6 | (number >> 70) & 0x3F
    return role_and_id >> 53, role_and_id & ((1 << 53) - 1)


class Shop:
    """Sends commands and waits for their outcomes, which come to one partition of `command-results`."""

    def __init__(self, args, reply_to):
        self.prefix, self.reply_to = args.topic_prefix, reply_to
        self.brokers = args.kafka
        self.registry = Registry(args.registry, args.topic_prefix)
        self.producer = Producer({
            "bootstrap.servers": args.kafka,
            "enable.idempotence": True,
            # Java's default; this client's own would send commands to other lanes than their users'.
            "partitioner": "murmur2_random",
        })
        self.results = self.consumer()
        mine = TopicPartition(f"{self.prefix}command-results", reply_to)
        # The end is asked for before anything is sent, so that no outcome is missed.
        _, mine.offset = self.results.get_watermark_offsets(mine, timeout=PATIENCE_S)
        self.results.assign([mine])
        self.sent = {}

    def consumer(self):
        return Consumer({
            "bootstrap.servers": self.brokers,
            # It joins no group, but the client wants a name.
            "group.id": f"{self.prefix}sample-python",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        })

    def ask(self, role, target, key, wish, payload):
        topic, id_field = [("user-commands", "userId"), ("product-commands", "productId")][role]
        value = self.registry.encode(topic, {
            id_field: target,
            # The same key and payload get the same outcome again: this sample may be run twice.
            "key": key,
            "createdAt": time.time_ns() // 1_000,
            "actor": "sample-python",
            "replyTo": self.reply_to,
            "payload": (f"jupan.{wish}", payload),
        })

        def delivered(error, record):
            if error is not None:
                raise RuntimeError(f"{wish} of {target} did not arrive: {error}")
            self.sent[role, target, record.offset()] = wish, record.partition()

        self.producer.produce(f"{self.prefix}{topic}", key=str(target), value=value, on_delivery=delivered)

    def outcomes(self):
        """What became of everything that was asked for, by wish and id."""
        if self.producer.flush(PATIENCE_S) > 0:
            raise TimeoutError("the broker does not take the commands")
        outcomes, end = {}, time.monotonic() + PATIENCE_S
        while self.sent:
            record = self.results.poll(0.1)
            if time.monotonic() > end:
                raise TimeoutError(f"no outcome of {self.sent}")
            if record is None or record.error() is not None:
                continue
            result = self.registry.decode(record.value())
            # Others may be answered in this partition, too, and an outcome may come twice.
            asked = self.sent.pop((*target_of(result["commandId"]), result["position"]), None)
            if asked is None:
                continue
            (wish, partition), (role, target) = asked, target_of(result["commandId"])
            what = ["user", "product"][role]
            print(f"{what} {target} partition {partition} {wish} {result['code']}")
            if result["code"] != "OK":
                raise RuntimeError(f"{wish} of {what} {target}: {result['code']}")
            outcomes[wish, target] = result
        return outcomes

    def events(self, orders):
        """The events that say how these orders ended: whoever wants the feed only needs this."""
        consumer, topic = self.consumer(), f"{self.prefix}order-events"
        partitions = consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        waiting, end = set(orders), time.monotonic() + PATIENCE_S
        while waiting:
            record = consumer.poll(0.1)
            if time.monotonic() > end:
                raise TimeoutError(f"no event of {waiting}")
            if record is None or record.error() is not None:
                continue
            event = self.registry.decode(record.value())
            # Other systems' orders, repeats, and this order while it was pending are passed over.
            if event["orderId"] in waiting and event["status"] != "PENDING":
                waiting.remove(event["orderId"])
                yield event
        consumer.close()


def uuid_text(order_id):
    text = order_id.hex()
    return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kafka", required=True, metavar="HOST:PORT")
    parser.add_argument("--registry", required=True, metavar="URL")
    parser.add_argument("--topic-prefix", default="", metavar="TEXT")
    parser.add_argument("--first", type=int, default=2_000, metavar="ID", help="the first user and product")
    parser.add_argument("--count", type=int, default=12, metavar="N", help="how many of each")
    args = parser.parse_args()
    shop = Shop(args, reply_to=0)
    ids = range(args.first, args.first + args.count)

    for n in ids:
        product = {"name": f"Abacus {n}", "price": PRICE, "stock": STOCK}
        shop.ask(PRODUCTS, n, "sample-register", "RegisterProduct", product)
        shop.ask(USERS, n, "sample-register", "RegisterUser", {"name": f"Ada {n}", "email": "ada@example.org"})
    # An order needs both, and they are other partitions: nothing but their outcomes says that they are there.
    shop.outcomes()

    for n in ids:
        # The same partition, so the charge comes before the order.
        shop.ask(USERS, n, "sample-charge", "ChargeBalance", {"amount": CHARGE})
        items = [{"productId": n, "quantity": QUANTITY}]
        order = {"items": items, "fromCart": False, "payment": "NOW"}
        shop.ask(USERS, n, "sample-order", "PlaceOrder", order)
    outcomes = shop.outcomes()

    for n in ids:
        if outcomes["ChargeBalance", n]["balance"] != CHARGE:
            raise RuntimeError(f"user {n} has {outcomes['ChargeBalance', n]['balance']}")
    orders = {uuid_text(outcomes["PlaceOrder", n]["orderId"]): n for n in ids}
    for event in shop.events(orders):
        order, status, total = event["orderId"], event["status"], event["totalPrice"]
        print(f"order {order} of user {event['userId']} {status} {total}")
        if (event["userId"], status, total) != (orders[order], "SUCCESS", QUANTITY * PRICE):
            raise RuntimeError(f"order {order}: {event}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception as error:
        print(f"sample-python: {error}", file=sys.stderr)
        sys.exit(1)
