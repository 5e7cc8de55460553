//! What keys become: questions, each about one partition.

use super::columns::slot;
use crate::limits;
use hashbrown::HashMap;
use jupan_schemas::{CommandId, OrderId, ProductId, Role, UserId, rows::Key};

/// Keys of one partition that are asked for together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    User(UserId),
    Product(ProductId),
    Orders(UserId, Vec<OrderId>),
    Outcomes(Role, u64, Vec<CommandId>),
    /// Of a lane, in a slot.
    Holds(u16, i32, Vec<OrderId>),
}

impl Question {
    /// About one key; `None` where nobody can have such a key.
    pub(super) fn of(key: Key) -> Option<Self> {
        match key {
            Key::User(id) => Some(Self::User(id)),
            Key::Product(id) => Some(Self::Product(id)),
            Key::Order(id) => Some(Self::Orders(id.user()?, vec![id])),
            Key::Outcome(id) => {
                let (role, owner) = id.target()?;
                Some(Self::Outcomes(role, owner, vec![id]))
            }
            Key::Hold(id, lane) => Some(Self::Holds(lane, slot(id), vec![id])),
        }
    }

    /// About all of these keys, as few as can be.
    pub(super) fn all(keys: &[Key]) -> Vec<Self> {
        let mut places: HashMap<Place, usize> = HashMap::with_capacity(keys.len());
        let mut questions: Vec<Self> = Vec::new();
        for question in keys.iter().filter_map(|key| Self::of(*key)) {
            let place = question.place();
            match places.get(&place).map(|place| &mut questions[*place]) {
                Some(present) if present.has_room() => present.add(question),
                _ => {
                    places.insert(place, questions.len());
                    questions.push(question);
                }
            }
        }
        questions
    }

    fn place(&self) -> Place {
        match self {
            Self::User(id) => Place::User(*id),
            Self::Product(id) => Place::Product(*id),
            Self::Orders(user, _) => Place::Orders(*user),
            Self::Outcomes(role, id, _) => Place::Outcomes(*role, *id),
            Self::Holds(lane, slot, _) => Place::Holds(*lane, *slot),
        }
    }

    fn has_room(&self) -> bool {
        match self {
            Self::User(_) | Self::Product(_) => true,
            Self::Orders(_, ids) | Self::Holds(_, _, ids) => ids.len() < limits::CQL_KEYS_MAX,
            Self::Outcomes(_, _, ids) => ids.len() < limits::CQL_KEYS_MAX,
        }
    }

    /// Takes up the keys of another question about the same place.
    fn add(&mut self, other: Self) {
        match (self, other) {
            (Self::Orders(_, ids), Self::Orders(_, more))
            | (Self::Holds(_, _, ids), Self::Holds(_, _, more)) => ids.extend(more),
            (Self::Outcomes(_, _, ids), Self::Outcomes(_, _, more)) => ids.extend(more),
            _ => {}
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    User(UserId),
    Product(ProductId),
    Orders(UserId),
    Outcomes(Role, u64),
    Holds(u16, i32),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(user: u64, number: u64) -> OrderId {
        OrderId::of(UserId(user), &format!("order {number}"))
    }

    #[test]
    fn keys_of_a_partition_are_one_question() {
        let (a, b, other) = (order(7, 1), order(7, 2), order(8, 1));
        let (c, d) = (CommandId::of(Role::Users, 7, "c"), CommandId::of(Role::Products, 7, "d"));
        let user = Key::User(UserId(7));
        let keys = [
            Key::Order(a),
            user,
            Key::Outcome(c),
            Key::Order(other),
            Key::Order(b),
            user,
            Key::Outcome(d),
            Key::Hold(a, 3),
            Key::Hold(a, 4),
        ];
        let questions = Question::all(&keys);
        let expected = [
            Question::Orders(UserId(7), vec![a, b]),
            Question::User(UserId(7)),
            Question::Outcomes(Role::Users, 7, vec![c]),
            Question::Orders(UserId(8), vec![other]),
            Question::Outcomes(Role::Products, 7, vec![d]),
            Question::Holds(3, slot(a), vec![a]),
            Question::Holds(4, slot(a), vec![a]),
        ];
        assert_eq!(questions, expected);
    }

    #[test]
    fn a_question_has_a_bounded_number_of_keys() {
        let keys: Vec<Key> = (0..120).map(|number| Key::Order(order(7, number))).collect();
        let sizes: Vec<usize> = Question::all(&keys)
            .iter()
            .map(|question| match question {
                Question::Orders(_, ids) => ids.len(),
                _ => 0,
            })
            .collect();
        assert_eq!(sizes, [50, 50, 20]);
    }

    #[test]
    fn ids_that_nobody_can_have_are_not_asked_for() {
        let keys = [Key::Order(OrderId([0xff; 16])), Key::Outcome(CommandId([0; 16]))];
        assert_eq!(Question::all(&keys), []);
    }
}
