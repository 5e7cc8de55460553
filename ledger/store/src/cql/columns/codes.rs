//! Enums as stable texts. A text of a newer version is refused: lanes are upgraded before anybody
//! uses what is new.

use super::Corrupt;
use jupan_schemas::{Code, OrderStatus, Payment, rows::StatementKind};

pub(super) fn code(text: &str) -> Result<Code, Corrupt> {
    let known = Code::ALL.iter().find(|code| code.as_str() == text);
    known.copied().ok_or_else(|| Corrupt::new("code", text))
}

pub(super) fn status(text: &str) -> Result<OrderStatus, Corrupt> {
    use OrderStatus::{Failed, Pending, Refunded, Success};
    let known = [Pending, Success, Failed, Refunded].into_iter().find(|s| s.as_str() == text);
    known.ok_or_else(|| Corrupt::new("status", text))
}

pub(super) fn payment_text(payment: Payment) -> &'static str {
    match payment {
        Payment::Now => "NOW",
        Payment::Later => "LATER",
    }
}

pub(super) fn payment(text: &str) -> Result<Payment, Corrupt> {
    match text {
        "NOW" => Ok(Payment::Now),
        "LATER" => Ok(Payment::Later),
        _ => Err(Corrupt::new("payment", text)),
    }
}

pub(super) fn kind_text(kind: StatementKind) -> &'static str {
    match kind {
        StatementKind::Charge => "CHARGE",
        StatementKind::Payment => "PAYMENT",
        StatementKind::Refund => "REFUND",
    }
}

pub(super) fn kind(text: &str) -> Result<StatementKind, Corrupt> {
    match text {
        "CHARGE" => Ok(StatementKind::Charge),
        "PAYMENT" => Ok(StatementKind::Payment),
        "REFUND" => Ok(StatementKind::Refund),
        _ => Err(Corrupt::new("kind", text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back() {
        for known in Code::ALL {
            assert_eq!(code(known.as_str()), Ok(*known));
        }
        for known in
            [OrderStatus::Pending, OrderStatus::Success, OrderStatus::Failed, OrderStatus::Refunded]
        {
            assert_eq!(status(known.as_str()), Ok(known));
        }
        for known in [Payment::Now, Payment::Later] {
            assert_eq!(payment(payment_text(known)), Ok(known));
        }
        for known in [StatementKind::Charge, StatementKind::Payment, StatementKind::Refund] {
            assert_eq!(kind(kind_text(known)), Ok(known));
        }
    }

    #[test]
    fn unknown_texts_are_refused() {
        for text in ["", "NEWER", "ok", "UNKNOWN"] {
            assert!(code(text).is_err() && status(text).is_err(), "{text}");
            assert!(payment(text).is_err() && kind(text).is_err(), "{text}");
        }
    }
}
