//! Same key, other body: the payload tells, the envelope does not.

use crate::strategies;
use jupan_schemas::{
    Codec, Fingerprint, Micros, Payment, PlaceOrder, ProductCommand, Role, UserCommand, UserId,
    UserPayload, fingerprint,
};
use proptest::{prelude::any, prop_assert_eq, prop_assert_ne, prop_assume, proptest};

fn of_user(command: &UserCommand) -> Fingerprint {
    Codec::embedded().user_fingerprint(command)
}

fn of_product(command: &ProductCommand) -> Fingerprint {
    Codec::embedded().product_fingerprint(command)
}

proptest! {
    #[test]
    fn a_users_envelope_does_not_count(
        one in strategies::user_command(), other in strategies::user_command(),
    ) {
        let resent = UserCommand { payload: one.payload.clone(), ..other.clone() };
        prop_assert_eq!(of_user(&one), of_user(&resent));
        prop_assume!(one.payload != other.payload);
        prop_assert_ne!(of_user(&one), of_user(&other));
    }

    #[test]
    fn a_products_envelope_does_not_count(
        one in strategies::product_command(), other in strategies::product_command(),
    ) {
        let resent = ProductCommand { payload: one.payload.clone(), ..other.clone() };
        prop_assert_eq!(of_product(&one), of_product(&resent));
        prop_assume!(one.payload != other.payload);
        prop_assert_ne!(of_product(&one), of_product(&other));
    }

    #[test]
    fn the_role_counts(datum in any::<Vec<u8>>()) {
        prop_assert_ne!(fingerprint(Role::Users, &datum), fingerprint(Role::Products, &datum));
    }
}

/// Fingerprints are in journals: this one never changes.
#[test]
fn a_known_fingerprint_stays() {
    let command = UserCommand {
        user_id: UserId(7),
        key: "k".into(),
        created_at: Micros(5),
        occurred_at: None,
        actor: "user:7".into(),
        trace_id: None,
        reply_to: None,
        payload: UserPayload::PlaceOrder(PlaceOrder {
            items: Vec::new(),
            from_cart: true,
            payment: Payment::Now,
        }),
    };
    assert_eq!(of_user(&command).to_string(), "ee991d95bce67608991d843c44f833ef");
}
