//! What is in the demo. Ids, prices and stock are promises: front ends and their tests are written
//! against them.

/// A made-up product.
pub(super) struct Product {
    pub(super) id: u64,
    pub(super) name: &'static str,
    /// In won.
    pub(super) price: i64,
    /// Units at the first start.
    pub(super) stock: i64,
}

/// A made-up user.
pub(super) struct User {
    pub(super) id: u64,
    pub(super) name: &'static str,
}

/// What every user is charged with at the first start, in won, in one charge.
pub(crate) const WALLET: i64 = 1_000_000;

const fn product(id: u64, name: &'static str, price: i64, stock: i64) -> Product {
    Product { id, name, price, stock }
}

const fn user(id: u64, name: &'static str) -> User {
    User { id, name }
}

/// The shop sells tea and what one writes with. One product is scarce, one is sold out.
pub(super) const PRODUCTS: [Product; 12] = [
    product(101, "Boseong first-flush green tea · 보성 우전 녹차", 38_000, 40),
    product(102, "Jeju roasted tea · 제주 호지차", 14_000, 120),
    product(103, "Goheung yuja marmalade tea · 고흥 유자차", 12_500, 200),
    product(104, "Onggi teapot · 옹기 다관", 68_000, 15),
    product(105, "Celadon cup, cloud and crane · 청자 운학문 잔", 45_000, 3),
    product(106, "Hanji letter set · 한지 편지지", 9_000, 300),
    product(107, "Stitched hanji notebook · 한지 오침 공책", 16_000, 150),
    product(108, "Calligraphy brush · 서예 붓", 22_000, 60),
    product(109, "Pine-soot ink stick · 송연먹", 27_000, 48),
    product(110, "Danyang inkstone · 단양 벼루", 89_000, 0),
    product(111, "Bojagi wrapping cloth · 조각보", 24_000, 75),
    product(112, "Pocket abacus, 13 rods · 휴대용 주판", 31_000, 25),
];

/// Everyone who shops here.
pub(super) const USERS: [User; 10] = [
    user(1, "Kim Minji · 김민지"),
    user(2, "Lee Junho · 이준호"),
    user(3, "Park Seoyeon · 박서연"),
    user(4, "Choi Dohyun · 최도현"),
    user(5, "Jung Haeun · 정하은"),
    user(6, "Kang Taeyang · 강태양"),
    user(7, "Cho Yuna · 조유나"),
    user(8, "Yoon Jiho · 윤지호"),
    user(9, "Lim Sora · 임소라"),
    user(10, "Han Garam · 한가람"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_keeps_its_promises() {
        assert!(PRODUCTS.iter().map(|product| product.id).eq(101..=112));
        assert!(USERS.iter().map(|user| user.id).eq(1..=10));
        let with = |stock| PRODUCTS.iter().filter(|product| product.stock == stock).count();
        assert_eq!((with(3), with(0)), (1, 1), "one is scarce, one is sold out");
        assert!(PRODUCTS.iter().all(|product| product.price > 0 && product.price <= WALLET));
    }
}
