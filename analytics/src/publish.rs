//! The present list goes to the topic `top-products`, keyed by its window.

use jupan_log::{Log, NewRecord};
use jupan_schemas::{Codec, TopProducts, topics};

/// Publishes lists that differ from the one before.
#[derive(Default)]
pub(crate) struct Publisher {
    last: Option<TopProducts>,
    is_in_trouble: bool,
}

impl Publisher {
    /// Publishes a list, if it says something new. The next offer repeats one that could not be
    /// published: a record with the same key takes its place, so that twice is as good as once.
    pub(crate) fn offer(&mut self, log: &dyn Log, codec: &mut Codec, top: TopProducts) {
        if !self.is_news(&top) {
            return;
        }
        let mut value = Vec::new();
        topics::TOP_PRODUCTS.encode(codec, &top, &mut value);
        match log.publish_top(NewRecord::new(top.window_to.0.to_string(), value)) {
            Ok(()) => {
                self.last = Some(top);
                self.is_in_trouble = false;
            }
            Err(cause) if !self.is_in_trouble => {
                self.is_in_trouble = true;
                tracing::warn!(%cause, "the top sellers could not be published; will go on trying");
            }
            Err(_) => {}
        }
    }

    /// Positions alone are no news, and neither is it that still nothing was sold.
    fn is_news(&self, top: &TopProducts) -> bool {
        match &self.last {
            None => !top.products.is_empty(),
            Some(last) if last.products.is_empty() && top.products.is_empty() => false,
            Some(last) => last.window_to != top.window_to || last.products != top.products,
        }
    }
}
