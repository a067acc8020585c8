use bulkhead_model::fake::entropy::FakeEntropy;
use proptest::prelude::*;
use vsss_rs::Gf256;

use super::*;

fn hidden(shares: &[Vec<u8>]) -> Vec<Hidden<Vec<u8>>> {
    shares.iter().map(|share| Hidden::new(share.clone())).collect()
}

fn exposed(shares: &[Hidden<Vec<u8>>]) -> Vec<Vec<u8>> {
    shares.iter().map(|share| share.expose().clone()).collect()
}

/// A split: how many shares, how many needed, which ones are brought.
fn split_and_choice() -> impl Strategy<Value = (u8, u8, Vec<usize>)> {
    (2u8..=12).prop_flat_map(|shares| (Just(shares), 2..=shares)).prop_flat_map(|(shares, threshold)| {
        let all: Vec<usize> = (0..usize::from(shares)).collect();
        let brought = usize::from(threshold)..=usize::from(shares);
        (Just(shares), Just(threshold), prop::sample::subsequence(all, brought).prop_shuffle())
    })
}

proptest! {
    #[test]
    fn any_shares_from_the_threshold_up_give_the_secret(
        secret in prop::collection::vec(any::<u8>(), 1..40), (shares, threshold, brought) in split_and_choice(), seed: u64,
    ) {
        let made = split(&secret, shares, threshold, &FakeEntropy::seeded(seed)).expect("a split");
        let brought: Vec<Vec<u8>> = brought.iter().map(|n| made[*n].expose().clone()).collect();
        let combined = combine(&hidden(&brought)).expect("shares of one split");
        prop_assert_eq!(combined.expose(), &secret);
    }

    #[test]
    fn an_independent_implementation_reads_our_shares(
        secret in prop::collection::vec(any::<u8>(), 1..40), (shares, threshold, brought) in split_and_choice(), seed: u64,
    ) {
        let made = split(&secret, shares, threshold, &FakeEntropy::seeded(seed)).expect("a split");
        // Its shares have x in front, ours (Vault's) behind.
        let theirs: Vec<Vec<u8>> = brought.iter().map(|n| {
            let mut share = made[*n].expose().clone();
            share.rotate_right(1);
            share
        }).collect();
        prop_assert_eq!(Gf256::combine_bytes(&theirs).expect("shares of one split"), secret);
    }

    #[test]
    fn wrong_shares_give_an_error_or_another_secret_but_no_panic(
        shares in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5), 0..5),
    ) {
        let fits = shares.len() >= 2 && shares.iter().all(|share| share.len() == shares[0].len() && share.len() >= 2);
        prop_assert!(fits || combine(&hidden(&shares)).is_err());
    }
}

#[test]
fn products_and_inverses_are_those_of_an_independent_implementation() {
    for a in 0..=255u8 {
        for b in 0..=255u8 {
            assert_eq!(multiply(a, b), (Gf256(a) * Gf256(b)).0, "{a} times {b}");
        }
        assert_eq!(multiply(a, invert(a)), u8::from(a != 0), "the inverse of {a}");
    }
}

#[test]
fn fewer_shares_than_the_threshold_fit_every_secret_equally() {
    // Two of three shares, of every possible secret byte: with the third share's value
    // running through all bytes, every secret comes up once.
    let made = split(&[42], 3, 3, &FakeEntropy::seeded(3)).expect("a split");
    let mut secrets: Vec<u8> = (0..=255)
        .map(|guess| {
            let mut shares = exposed(&made);
            shares[2][0] = guess;
            combine(&hidden(&shares)).expect("they fit together").expose()[0]
        })
        .collect();
    secrets.sort_unstable();
    assert_eq!(secrets, (0..=255).collect::<Vec<u8>>());
}

#[test]
fn every_share_has_an_x_of_its_own_that_is_not_zero() {
    let made = split(b"secret", 255, 2, &FakeEntropy::seeded(1)).expect("a split");
    let mut positions: Vec<u8> = made.iter().map(|share| share.expose()[6]).collect();
    assert_ne!(positions, (1..=255).collect::<Vec<u8>>(), "they come shuffled");
    positions.sort_unstable();
    assert_eq!(positions, (1..=255).collect::<Vec<u8>>());
}

#[test]
fn impossible_splits_are_refused() {
    let entropy = FakeEntropy::seeded(1);
    for (secret, shares, threshold) in [(&b"s"[..], 3, 1), (b"s", 3, 0), (b"s", 2, 3), (b"", 3, 2)] {
        assert_eq!(split(secret, shares, threshold, &entropy).err(), Some(ShamirError::Split));
    }
}

#[test]
fn shares_that_cannot_belong_together_are_refused() {
    let table = [
        (vec![], ShamirError::Shape),
        (vec![vec![1, 2]], ShamirError::Shape),
        (vec![vec![1], vec![2]], ShamirError::Shape),
        (vec![vec![1, 2], vec![1, 2, 3]], ShamirError::Shape),
        (vec![vec![1, 2], vec![3, 2]], ShamirError::Position),
        (vec![vec![1, 2], vec![3, 0]], ShamirError::Position),
    ];
    for (shares, expected) in table {
        assert_eq!(combine(&hidden(&shares)).err(), Some(expected), "{shares:?}");
    }
}

/// Shares printed by `bao operator init -key-shares=5 -key-threshold=3` of OpenBao 2.7.2,
/// which three of them then unsealed. The server was thrown away.
const OPENBAO_SHARES: [&str; 5] = [
    "a6515d8eb6c82706ebcf69381ab9caa636d92291ebe34620652dfed8508b563ac3",
    "208b5a3375f26fd84fd2827999c743144f263a64d2a667feee2b4569b73a300ae6",
    "668d7d1749ffe9979f90a93f266d75d58ed3a8bd11391ed2398f1a9378990952fa",
    "80bd80f33fbff4b14ce899fab9b68432de0fa655051b6dc236f9a5a8080bbafb75",
    "f6194ca959a213f9719d972861f497adcd170560b7ec1921ba1663b4d4284679fc",
];

#[test]
fn any_three_shares_made_by_openbao_give_the_same_secret() {
    let shares: Vec<Vec<u8>> = OPENBAO_SHARES.iter().map(|share| hex::decode(share).expect("hexadecimal")).collect();
    let expected =
        hex::decode("c90f1145987354ce033811680714e3aea4d78246e126b0b38b668534704322c5").expect("hexadecimal");
    for chosen in 0u8..32 {
        let some: Vec<Vec<u8>> = (0..5).filter(|n| chosen >> n & 1 == 1).map(|n| shares[n].clone()).collect();
        if some.len() >= 3 {
            assert_eq!(*combine(&hidden(&some)).expect("shares of one split").expose(), expected, "{chosen:05b}");
        } else if some.len() == 2 {
            assert_ne!(*combine(&hidden(&some)).expect("they fit together").expose(), expected, "{chosen:05b}");
        }
    }
}
