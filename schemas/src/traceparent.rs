//! A trace on its way through headers, as W3C trace context writes it: `version-trace-parent-flags`.

use crate::TraceId;

/// The header's name, in HTTP and in Kafka.
pub const TRACEPARENT: &str = "traceparent";
/// Bytes of its value, as it is written here.
pub const TRACEPARENT_BYTES: usize = 55;

impl TraceId {
    /// The trace that a `traceparent` names; later versions of the format may have more fields.
    pub fn of_traceparent(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let (version, trace) = (fields.next()?, fields.next()?);
        let (parent, flags) = (fields.next()?, fields.next()?);
        let fits = version.len() == 2 && version != "ff" && parent.len() == 16 && flags.len() == 2;
        fits.then(|| Self::parse(trace)).flatten()
    }

    /// A `traceparent` for those who read a record. Work on records has no spans of its own, so the
    /// half of the trace's id that is not all zeros stands for the parent.
    pub fn to_traceparent(self) -> String {
        let text = self.to_string();
        let (front, back) = text.split_at(text.len() / 2);
        let parent = if back.bytes().all(|digit| digit == b'0') { front } else { back };
        format!("00-{text}-{parent}-01")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for trace in
            ["4b".repeat(16), format!("1{}", "0".repeat(31)), format!("{}1", "0".repeat(31))]
        {
            let id = TraceId::parse(&trace).expect("a trace");
            let text = id.to_traceparent();
            assert_eq!((text.len(), TraceId::of_traceparent(&text)), (TRACEPARENT_BYTES, Some(id)));
            let parent = text.split('-').nth(2).expect("a parent");
            assert!(parent.bytes().any(|digit| digit != b'0'), "{text}");
        }
    }
}
