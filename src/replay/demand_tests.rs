//! Demand, shares, charges and midnights, as data.

use super::*;
use std::fs;

/// Reads two small files.
fn demand_of(products: &str, orders: &str) -> Result<Demand, Error> {
    let dir = tempfile::tempdir().expect("a directory");
    let (p, o) = (dir.path().join("p.csv"), dir.path().join("o.csv"));
    fs::write(&p, format!("product_id,name,price\n{products}")).expect("a file");
    let head = "ts,user_id,order_ref,product_id,quantity,unit_price\n";
    fs::write(&o, format!("{head}{orders}")).expect("a file");
    read(&p, &o)
}

#[test]
fn demand_counts_units_by_product_and_money_by_user() {
    let demand = demand_of(
        "1,Tea,250\n2,Cup,900\n3,Pot,5000\n",
        "2017-01-01T10:00:00Z,7,a,1,2,250\n2017-01-01T10:00:00Z,7,a,2,1,900\n\
         2017-01-01T11:00:00Z,8,b,1,3,200\n2017-01-03T00:00:00Z,7,c,1,1,250\n",
    )
    .expect("good files");
    let units: Vec<_> = demand.products.iter().map(|(id, p)| (id.0, p.demanded.0)).collect();
    assert_eq!(units, [(1, 6), (2, 1), (3, 0)]);
    let money: Vec<_> = demand.users.iter().map(|(id, money)| (id.0, money.0)).collect();
    assert_eq!(money, [(7, 2 * 250 + 900 + 250), (8, 3 * 250)]);
    assert_eq!((demand.orders, demand.lines, demand.other_price_lines), (3, 4, 1));
    let (first, last) = demand.span.expect("orders");
    assert_eq!(first.to_string(), "2017-01-01T10:00:00Z");
    assert_eq!(last.to_string(), "2017-01-03T00:00:00Z");
    let days: Vec<_> = midnights((first, last)).map(|at| at.to_string()).collect();
    assert_eq!(days, ["2017-01-02T00:00:00Z", "2017-01-03T00:00:00Z"]);
    assert_eq!(demand_of("", "").expect("empty files"), Demand::default());
}

#[test]
fn files_that_contradict_themselves_are_refused() {
    let line = |reference: &str, product: u64, units: u64| {
        format!("2017-01-01T10:00:00Z,7,{reference},{product},{units},1\n")
    };
    for (products, orders, expected) in [
        ("1,Tea,1\n1,Tea,1\n", String::new(), "p.csv, line 3: product 1 is listed twice"),
        ("1,Tea,1\n", line("a", 2, 1), "o.csv, line 2: no product 2 in the products file"),
        (
            "1,Tea,1\n",
            line("a", 1, 1) + &line("b", 1, 1) + &line("a", 1, 1),
            "o.csv, line 4: order a comes back: its lines must be adjacent",
        ),
        (
            "1,Tea,1000000000000\n",
            line("a", 1, 1001),
            "o.csv, line 2: user 7 buys for more than a wallet can hold",
        ),
    ] {
        let error = demand_of(products, &orders).expect_err(expected);
        assert!(error.to_string().ends_with(&format!("/{expected}")), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn shares_are_decimals_and_round_up() {
    for (share, demanded, expected) in [
        ("1", 7, Some(7)),
        ("1.0", 7, Some(7)),
        ("0.5", 7, Some(4)),
        ("0.5", 8, Some(4)),
        ("0.000001", 1, Some(1)),
        ("0", 7, Some(0)),
        ("0.1", 30, Some(3)),
        ("2.25", 4, Some(9)),
        ("1000", 1_000_000_000, Some(1_000_000_000_000)),
        ("1000", 1_000_000_001, None),
    ] {
        let parsed = share.parse().expect(share);
        assert_eq!(stock(Units(demanded), parsed), expected.map(Units), "{share} of {demanded}");
    }
    for text in ["", ".", ".5", "1.", "-1", "+1", "1e3", "0.0000001", "1000.1", "half", "NaN"] {
        assert!(text.parse::<Share>().is_err(), "{text}");
    }
}

#[test]
fn charges_are_split_at_the_shops_limit() {
    for (total, expected) in [
        (0, &[][..]),
        (1, &[1]),
        (10_000_000, &[10_000_000]),
        (10_000_001, &[10_000_000, 1]),
        (25_000_000, &[10_000_000, 10_000_000, 5_000_000]),
    ] {
        let amounts: Vec<_> = charges(Money(total)).map(|amount| amount.0).collect();
        assert_eq!(amounts, expected, "{total}");
    }
}

#[test]
fn midnights_lie_within_the_file() {
    for (first, last, expected) in [
        ("2017-01-01T00:00:00Z", "2017-01-01T00:00:00Z", &["2017-01-01T00:00:00Z"][..]),
        ("2017-01-01T00:00:01Z", "2017-01-01T23:59:59Z", &[]),
        ("2017-01-01T23:59:59Z", "2017-01-02T00:00:00Z", &["2017-01-02T00:00:00Z"]),
        ("1969-12-31T12:00:00Z", "1970-01-01T12:00:00Z", &["1970-01-01T00:00:00Z"]),
    ] {
        let span = (first.parse().expect(first), last.parse().expect(last));
        let found: Vec<_> = midnights(span).map(|at| at.to_string()).collect();
        assert_eq!(found, expected, "{first} to {last}");
    }
}
