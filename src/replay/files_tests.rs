//! What may and what must not stand in a file, as data.

use super::*;
use std::io::Write;

const HEAD: &str = "ts,user_id,order_ref,product_id,quantity,unit_price\n";

fn orders(text: &str) -> Result<Vec<Order>, FileError> {
    let reader = Box::new(io::Cursor::new(text.as_bytes().to_vec()));
    let table = Table::new(Path::new("orders.csv"), reader, ORDER_COLUMNS)?;
    let mut orders = Orders { table, ahead: None, last: Timestamp::MIN };
    orders.ahead = orders.next_row()?;
    std::iter::from_fn(|| orders.next_order().transpose()).collect()
}

fn products(text: &str) -> Result<Vec<Product>, FileError> {
    let reader = Box::new(io::Cursor::new(text.as_bytes().to_vec()));
    let table = Table::new(Path::new("products.csv"), reader, PRODUCT_COLUMNS)?;
    let mut products = Products { table };
    std::iter::from_fn(|| products.next_product().transpose()).collect()
}

/// Writes an order as `reference user product*quantity@price …`.
fn brief(order: &Order) -> String {
    let items: Vec<_> = order.items.iter().zip(&order.prices).collect();
    let items: Vec<_> = items
        .iter()
        .map(|(item, price)| format!("{}*{}@{price}", item.product_id, item.quantity))
        .collect();
    format!("{} {} {} {}", order.line, order.reference, order.user, items.join(" "))
}

#[test]
fn orders_are_adjacent_lines_of_one_reference() {
    for (text, expected) in [
        ("", &[][..]),
        ("\n\n", &[]),
        ("2017-01-01T00:00:00Z,1,a,5,2,10\n", &["2 a 1 5*2@10"]),
        ("2017-01-01T00:00:00Z,1,a,5,2,10", &["2 a 1 5*2@10"]),
        (
            "2017-01-01T00:00:00Z,1,a,5,2,10\r\n\r\n2017-01-01T00:00:00Z,1,b,5,2,10\r\n",
            &["2 a 1 5*2@10", "4 b 1 5*2@10"],
        ),
        (
            "2017-01-01T00:00:00Z,1,a,5,2,10\n2017-01-01T00:00:00Z,1,a,6,1,7\n\
             2017-01-01T00:00:00Z,1,a,5,3,10\n",
            &["2 a 1 5*5@10 6*1@7"],
        ),
        (
            "2017-01-01T00:00:00Z,1,a,5,1,10\n2017-01-01T00:00:00Z,2,b,5,1,10\n\
             2017-01-01T00:00:01Z,1,c,5,1,10\n",
            &["2 a 1 5*1@10", "3 b 2 5*1@10", "4 c 1 5*1@10"],
        ),
        ("\"2017-01-01T00:00:00Z\",\"1\",\"a\",\"5\",\"2\",\"10\"\n", &["2 a 1 5*2@10"]),
        (
            "2017-01-01T09:00:00+09:00,0,a,9007199254740991,10000,0\n",
            &["2 a 0 9007199254740991*10000@0"],
        ),
    ] {
        let read = orders(&format!("{HEAD}{text}")).expect(text);
        assert_eq!(read.iter().map(brief).collect::<Vec<_>>(), expected, "{text}");
    }
    let offset = orders(&format!("{HEAD}2017-01-01T09:00:00+09:00,0,a,1,1,0\n")).expect("a line");
    assert_eq!(offset[0].at.to_string(), "2017-01-01T00:00:00Z");
}

#[test]
fn malformed_orders_are_named_with_their_line() {
    let good = "2017-01-02T00:00:00Z,1,a,5,2,10";
    for (line, expected) in [
        ("2017-01-02T00:00:00Z,1,b,5,2", "6 fields expected, 5 found"),
        ("2017-01-02T00:00:00Z,1,b,5,2,10,", "6 fields expected, 7 found"),
        ("yesterday,1,b,5,2,10", "ts must be a time"),
        ("2017-01-02 00:00:00,1,b,5,2,10", "ts must be a time"),
        ("2017-01-01T23:59:59Z,1,b,5,2,10", "earlier than the line before"),
        ("2017-01-02T00:00:00Z,-1,b,5,2,10", "user_id must be a whole number below 2^53, not `-1`"),
        ("2017-01-02T00:00:00Z,9007199254740992,b,5,2,10", "user_id must be"),
        ("2017-01-02T00:00:00Z,1,,5,2,10", "order_ref must be"),
        ("2017-01-02T00:00:00Z,1,b b,5,2,10", "order_ref must be"),
        ("2017-01-02T00:00:00Z,1,주문,5,2,10", "order_ref must be"),
        ("2017-01-02T00:00:00Z,1,b,x,2,10", "product_id must be"),
        (
            "2017-01-02T00:00:00Z,1,b,5,0,10",
            "quantity must be a whole number from 1 to 10000, not `0`",
        ),
        ("2017-01-02T00:00:00Z,1,b,5,10001,10", "quantity must be"),
        ("2017-01-02T00:00:00Z,1,b,5,1.5,10", "quantity must be"),
        ("2017-01-02T00:00:00Z,1,b,5,1,-1", "unit_price must be"),
        ("2017-01-02T00:00:00Z,1,b,5,1,9.99", "unit_price must be"),
        ("2017-01-02T00:00:00Z,2,a,6,1,10", "order a has lines of another user or time"),
        ("2017-01-02T00:00:01Z,1,a,6,1,10", "order a has lines of another user or time"),
        ("2017-01-02T00:00:00Z,1,a,5,9999,10", "more than 10000 units of product 5"),
        ("2017-01-02T00:00:00Z,1,a,5,1,11", "two prices"),
    ] {
        let error = orders(&format!("{HEAD}{good}\n\n{line}\n")).expect_err(line).to_string();
        assert!(error.starts_with("orders.csv, line 4: ") && error.contains(expected), "{error}");
    }
    let long = format!("{HEAD}{}", "x".repeat(70_000));
    assert!(orders(&long).expect_err("long").to_string().contains("line 2: longer than 65536"));
    let lines: String = (0..501).map(|id| format!("2017-01-02T00:00:00Z,1,a,{id},1,1\n")).collect();
    let error = orders(&format!("{HEAD}{lines}")).expect_err("501 products").to_string();
    assert!(error.contains("line 502: order a has more than 500 products"), "{error}");
}

#[test]
fn columns_must_be_the_known_ones() {
    for text in ["", "\n", "a,b\n", "ts,user_id,order_ref,product_id,quantity,price\n"] {
        let error = orders(text).expect_err(text).to_string();
        assert!(error.starts_with("orders.csv, line "), "{error}");
        assert!(error.ends_with(
            "the columns must be `ts,user_id,order_ref,product_id,quantity,unit_price`"
        ));
    }
    assert_eq!(orders(&format!("\u{feff}{HEAD}")).expect("a byte order mark"), []);
}

#[test]
fn product_names_may_be_quoted_but_not_empty() {
    let head = "product_id,name,price\n";
    let read = products(&format!("{head}1,\"Tea, \"\"green\"\"\",250\n2,차,0\n")).expect("good");
    let read: Vec<_> = read.iter().map(|p| (p.id.0, p.name.as_str(), p.price.0)).collect();
    assert_eq!(read, [(1, "Tea, \"green\"", 250), (2, "차", 0)]);
    for (line, expected) in [
        ("1, ,5", "line 2: name must be a name"),
        ("1,x,1000000000001", "line 2: price must be"),
        ("1,\"two\nlines\",5", "line 2: 3 fields expected, 2 found"),
    ] {
        let error = products(&format!("{head}{line}\n")).expect_err(line).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn gzip_is_told_by_the_name_and_a_cut_file_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let rows: String = (0..2000).map(|n| format!("2017-01-01T00:00:00Z,1,{n},{n},1,1\n")).collect();
    write!(zip, "{HEAD}{rows}").expect("memory");
    let bytes = zip.finish().expect("memory");
    let whole = dir.path().join("orders.csv.gz");
    std::fs::write(&whole, &bytes).expect("a file");
    let mut read = Orders::open(&whole).expect("a gzip");
    assert_eq!(std::iter::from_fn(|| read.next_order().expect("good")).count(), 2000);
    // Two gzips one after the other are one file.
    let double = dir.path().join("double.csv.GZ");
    let mut zip = flate2::write::GzEncoder::new(bytes.clone(), flate2::Compression::default());
    writeln!(zip, "2017-01-01T00:00:00Z,1,last,1,1,1").expect("memory");
    std::fs::write(&double, zip.finish().expect("memory")).expect("a file");
    let mut read = Orders::open(&double).expect("a gzip");
    assert_eq!(std::iter::from_fn(|| read.next_order().expect("good")).count(), 2001);

    let cut = dir.path().join("cut.csv.gz");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("a file");
    let error = Orders::open(&cut).and_then(|mut orders| {
        while orders.next_order()?.is_some() {}
        Ok(())
    });
    assert!(matches!(error, Err(FileError::Read { .. })), "{error:?}");
    let plain = dir.path().join("plain.csv");
    std::fs::write(&plain, &bytes).expect("a file");
    assert!(Orders::open(&plain).is_err());
    assert!(matches!(Orders::open(&dir.path().join("none")), Err(FileError::Open { .. })));
}
