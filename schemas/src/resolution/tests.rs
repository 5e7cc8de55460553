use super::*;
use apache_avro::{Schema, reader::datum::GenericDatumReader, writer::datum::GenericDatumWriter};

/// Rewrites what a second implementation wrote, and compares with what that one makes of it.
fn check(written: &str, read: &str, datum: &[u8]) {
    let plan = Plan::new(&shape(written), &shape(read)).expect("can be read");
    let mut rewritten = Vec::new();
    assert_eq!(plan.rewrite(datum, &mut rewritten), Ok(&[][..]));

    let [written, read] = [written, read].map(|text| Schema::parse_str(text).expect("is a schema"));
    let reader =
        GenericDatumReader::builder(&written).reader_schema(&read).build().expect("resolves");
    let writer = GenericDatumWriter::builder(&read).build().expect("resolves");
    let value = reader.read_value(&mut &datum[..]).expect("can be read");
    assert_eq!(writer.write_value_to_vec(value).expect("can be written"), rewritten);
}

fn shape(text: &str) -> Shape {
    Shape::parse(text).expect("is a schema of ours")
}

fn record(fields: &str) -> String {
    format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#)
}

/// A record with one long, read as one that also has a field of this type and default.
fn check_default(kind: &str, default: &str) {
    let old = r#"{"name": "old", "type": "long"}"#;
    let new = format!(r#"{{"name": "new", "type": {kind}, "default": {default}}}"#);
    let datum = [0x80, 1];
    check(&record(old), &record(&format!("{old}, {new}")), &datum);
    check(&record(old), &record(&format!("{new}, {old}")), &datum);
}

#[test]
fn defaults_of_every_type_are_those_of_a_second_implementation() {
    check_default(r#""null""#, "null");
    check_default(r#""boolean""#, "true");
    check_default(r#""int""#, "-65");
    check_default(r#""long""#, "9223372036854775807");
    check_default(r#""long""#, "-1");
    check_default(r#"{"type": "long", "logicalType": "timestamp-micros"}"#, "7");
    check_default(r#""string""#, r#""주판""#);
    check_default(
        r#"{"type": "enum", "name": "E", "symbols": ["A", "B"], "default": "A"}"#,
        r#""B""#,
    );
    check_default(r#"{"type": "array", "items": "long"}"#, "[]");
    check_default(r#"{"type": "array", "items": "long"}"#, "[1, -2, 300]");
    check_default(r#"["null", "long"]"#, "null");
    check_default(r#"["long", "null"]"#, "5");
    check_default(
        &record(r#"{"name": "a", "type": "long"}"#).replace("\"R\"", "\"S\""),
        r#"{"a": 3}"#,
    );
}

/// The second implementation writes one byte as two here; the specification says one character, one byte.
#[test]
fn defaults_of_bytes_are_one_byte_a_character() {
    for (kind, expected) in [
        (r#""bytes""#, &[4, 0x00, 0xff][..]),
        (r#"{"type": "fixed", "name": "F", "size": 2}"#, &[0x00, 0xff]),
    ] {
        let field = format!(r#"{{"name": "new", "type": {kind}, "default": "\u0000\u00ff"}}"#);
        let plan = Plan::new(&shape(&record("")), &shape(&record(&field))).expect("can be read");
        let mut rewritten = Vec::new();
        assert_eq!(plan.rewrite(&[], &mut rewritten), Ok(&[][..]));
        assert_eq!(rewritten, expected);
    }
}

#[test]
fn fields_that_only_the_writer_knows_are_passed_over_where_they_stand() {
    let field = |name: &str| format!(r#"{{"name": "{name}", "type": "long"}}"#);
    let all = ["a", "b", "c", "d"].map(field).join(", ");
    for known in [&["a", "d"][..], &["b", "c"], &["d"], &[]] {
        let known: Vec<_> = known.iter().map(|name| field(name)).collect();
        check(&record(&all), &record(&known.join(", ")), &[2, 4, 6, 8]);
    }
}

#[test]
fn symbols_are_matched_by_name() {
    let symbols = |list: &str, default: &str| {
        format!(r#"{{"type": "enum", "name": "E", "symbols": [{list}]{default}}}"#)
    };
    let with_default = symbols(r#""X", "B", "A""#, r#", "default": "X""#);
    for symbol in [0, 2, 4] {
        check(&symbols(r#""A", "B", "C""#, ""), &with_default, &[symbol]);
    }
    let plan = Plan::new(&shape(&symbols(r#""A", "C""#, "")), &shape(&symbols(r#""A""#, "")));
    let plan = plan.expect("can be read in part");
    let mut out = Vec::new();
    assert_eq!(plan.rewrite(&[0], &mut out), Ok(&[][..]));
    assert!(plan.rewrite(&[2], &mut out).is_err_and(|why| why.contains("symbol is unknown")));
    assert!(plan.rewrite(&[4], &mut out).is_err_and(|why| why.contains("no such symbol")));
    assert!(plan.rewrite(&[1], &mut out).is_err_and(|why| why.contains("no such symbol")));
}

/// Items of no bytes would let a datum of ten bytes claim any number of them.
#[test]
fn items_of_no_bytes_are_counted_too() {
    let array = shape(r#"{"type": "array", "items": "null"}"#);
    let plan = Plan::new(&array, &array).expect("can be read");
    let mut out = Vec::new();
    assert!(plan.rewrite(&[0xfe, 0xff, 0xff, 0x0f, 0], &mut out).is_err());
    assert_eq!(plan.rewrite(&[2, 0], &mut out), Ok(&[][..]));
}

#[test]
fn a_type_that_holds_itself_is_refused() {
    let list = record(r#"{"name": "next", "type": ["null", "R"]}"#);
    let refused = Shape::parse(&list).expect_err("is recursive").to_string();
    assert_eq!(refused, "next: R is used before it is whole");
}

#[test]
fn integers_of_every_length_come_back() {
    for shift in 0..64 {
        for number in
            [1_i64 << shift, (1_i64 << shift).wrapping_neg(), (1_i64 << shift).wrapping_sub(1)]
        {
            let mut bytes = Vec::new();
            write_long(number, &mut bytes);
            let mut input = Input(&bytes);
            assert_eq!((input.long(), input.0.len()), (Ok(number), 0));
        }
    }
}
