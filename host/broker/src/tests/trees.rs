//! The end of tokens with all below them: however many there are, in whatever form,
//! whoever makes more meanwhile, and wherever it is interrupted.

use std::sync::Arc;
use std::time::Duration;

use bulkhead_model::failure::FailureKind;
use bulkhead_model::request::Verb;
use serde_json::{Value, json};

use super::kit::{Kit, ROOT, is_conflict, put_token, request};
use crate::book::removals::Slice;
use crate::book::tokens::{self, tree};
use crate::book::{Cubby, space};

/// A kit with the token `top`.
async fn with_top() -> Kit {
    let kit = Kit::new().await;
    kit.write(|tx, open| {
        put_token(tx, open, "top", None);
    })
    .await;
    kit
}

async fn revoke(kit: &Kit, token: &str) -> super::kit::Answer {
    kit.ask(Verb::Write, "auth/token/revoke", ROOT, json!({ "token": token })).await
}

#[tokio::test]
async fn a_small_tree_goes_in_one_change() {
    let kit = with_top().await;
    kit.children("top", "child", 200).await;
    kit.chain("child-7", "line", 200).await;
    let before = kit.open().ledger().standing().applied_index;
    assert_eq!(revoke(&kit, "top").await.failed, None);
    assert_eq!(kit.open().ledger().standing().applied_index, before + 1);
    kit.is_clean();
}

#[tokio::test]
async fn twenty_thousand_children_go_with_their_parent() {
    let kit = with_top().await;
    kit.children("top", "child", 20_000).await;
    assert_eq!(revoke(&kit, "top").await.failed, None);
    assert!(!kit.is_valid("child-0").await && !kit.is_valid("child-19999").await);
    kit.is_clean();
}

#[tokio::test]
async fn a_line_of_two_thousand_goes_with_its_first() {
    let kit = with_top().await;
    kit.chain("top", "line", 2_000).await;
    assert_eq!(revoke(&kit, "top").await.failed, None);
    kit.is_clean();
}

#[tokio::test]
async fn wide_tokens_below_wide_tokens_go() {
    let kit = with_top().await;
    kit.children("top", "a", 1_200).await;
    kit.children("a-0", "b", 1_200).await;
    kit.children("b-0", "c", 1_200).await;
    kit.chain("c-5", "line", 700).await;
    assert_eq!(revoke(&kit, "top").await.failed, None);
    kit.is_clean();
}

#[tokio::test]
async fn only_what_is_below_goes() {
    let kit = with_top().await;
    kit.write(|tx, open| {
        put_token(tx, open, "other", None);
        put_token(tx, open, "middle", Some("top"));
    })
    .await;
    kit.children("middle", "child", 2_000).await;
    kit.children("other", "stranger", 3).await;
    assert_eq!(revoke(&kit, "middle").await.failed, None);
    assert!(kit.is_valid("top").await && kit.is_valid("stranger-0").await);
    assert_eq!(kit.count(space::TOKENS), 1 + 1 + 1 + 3);
    assert_eq!(kit.count(space::CHILDREN), 3);
}

#[tokio::test]
async fn a_token_with_many_leases_and_a_full_cubbyhole_goes() {
    let kit = with_top().await;
    kit.mount("a/").await;
    for _ in 0..700 {
        kit.lease("a/", "top").await;
    }
    kit.write(|tx, open| {
        for n in 0..700 {
            let key = Cubby::of(&open.salt.hash("top")).key(&format!("folder/{n}")).expect("a name");
            tx.put(&key, b"{}").expect("within limits");
        }
    })
    .await;
    assert_eq!(revoke(&kit, "top").await.failed, None);
    assert_eq!(kit.count(space::TOKEN_LEASES), 0);
    assert_eq!(kit.count_named(space::CUBBYHOLE), 0);
    kit.settle().await;
    assert_eq!(kit.plugin.calls("a/").len(), 700);
    kit.is_clean();
}

#[tokio::test]
async fn the_scheduler_ends_what_a_dead_node_began() {
    for changes in [1, 2, 7] {
        let kit = with_top().await;
        kit.children("top", "child", 8_000).await;
        kit.children("child-3", "grandchild", 2_000).await;
        kit.dies_after(changes);
        assert!(revoke(&kit, "top").await.failed.is_some());
        let kit = kit.restarted(true).await;
        assert!(!kit.is_valid("top").await, "the first change ends the token");
        assert!(kit.count(space::TOKENS) > 1, "the test must stop in the middle");
        kit.settle().await;
        kit.is_clean();
    }
}

#[tokio::test]
async fn a_request_out_of_time_says_that_the_removal_goes_on() {
    let kit = with_top().await;
    kit.children("top", "child", 20_000).await;
    kit.is_silent_after(3);
    let asked = request(Verb::Write, "auth/token/revoke", ROOT, &json!({ "token": "top" }));
    let answer = kit.ask_within(Duration::from_millis(300), asked).await;
    assert_eq!(answer.kind(), Some(FailureKind::Timeout));
    let text = "the token is revoked; the end of all tokens below it takes longer, and goes on";
    assert_eq!(answer.failed.expect("it failed").errors, [text]);
    kit.dies_after(usize::MAX);
    assert!(!kit.is_valid("top").await);
    kit.settle().await;
    kit.is_clean();
}

#[tokio::test]
async fn a_removal_in_hand_is_left_alone_by_the_scheduler() {
    let kit = with_top().await;
    kit.children("top", "child", 8_000).await;
    let (revoked, ()) = tokio::join!(revoke(&kit, "top"), async {
        while kit.is_valid("top").await {
            tokio::task::yield_now().await;
        }
        // Nothing is free, so this ends at once, whatever is left.
        kit.settle().await;
        assert!(kit.count(space::TOKENS) > 1);
    });
    assert_eq!(revoked.failed, None);
    kit.is_clean();
}

#[tokio::test]
async fn an_expired_token_takes_a_large_tree_with_it() {
    let kit = with_top().await;
    kit.clock.advance_secs(3_600);
    kit.children("top", "child", 5_000).await;
    kit.clock.advance_secs(36_000 - 3_600);
    kit.settle().await;
    kit.is_clean();
}

#[tokio::test]
async fn a_child_made_meanwhile_is_a_conflict_for_a_small_tree() {
    let kit = with_top().await;
    let open = kit.open();
    let mut tx = open.begin().expect("memory has views");
    let hash = open.salt.hash("top");
    assert_eq!(tree::end(&mut tx, &open.salt, &hash, 0, Slice::at_once(false)).expect("it can be ended"), None);
    kit.children("top", "late", 1).await;
    assert!(is_conflict(&open.commit(tx).await));
}

#[tokio::test]
async fn a_child_of_a_leaf_made_meanwhile_is_a_conflict_for_a_slice() {
    let kit = with_top().await;
    kit.children("top", "child", 3).await;
    let open = kit.open();
    let mut tx = open.begin().expect("memory has views");
    tree::end(&mut tx, &open.salt, &open.salt.hash("top"), 0, Slice::at_once(false)).expect("it can be ended");
    kit.children("child-1", "late", 1).await;
    assert!(is_conflict(&open.commit(tx).await));
}

#[tokio::test]
async fn a_crowded_token_that_makes_children_is_ended_all_the_same() {
    let kit = with_top().await;
    kit.children("top", "child", 5_000).await;
    let open = kit.open();
    let mut tx = open.begin().expect("memory has views");
    let due =
        tree::end(&mut tx, &open.salt, &open.salt.hash("top"), 0, Slice::at_once(false)).expect("it can be ended");
    assert!(due.is_some());
    kit.children("top", "late", 1).await;
    open.commit(tx).await.expect("more children are no conflict");
    kit.settle().await;
    kit.is_clean();
}

#[tokio::test]
async fn no_child_is_made_below_a_token_that_ended_meanwhile() {
    let kit = with_top().await;
    let open = kit.open();
    let mut tx = open.begin().expect("memory has views");
    // As a request does that makes a child: it looks at the parent first.
    assert!(tokens::get(&mut tx, &open.salt.hash("top")).expect("readable").is_some());
    put_token(&mut tx, &open, "late", Some("top"));
    assert_eq!(revoke(&kit, "top").await.failed, None);
    assert!(is_conflict(&open.commit(tx).await));
}

/// Makes a child of its newest token, a line that grows while it is removed, until it is
/// refused; tells whom it made.
async fn make_children(kit: Arc<Kit>, first: String) -> Vec<String> {
    let mut newest = first;
    let mut made = Vec::new();
    loop {
        let answer = kit.ask(Verb::Write, "auth/token/create", &newest, json!({ "ttl": "9h" })).await;
        if answer.failed.is_some() {
            return made;
        }
        newest = answer.token();
        made.push(newest.clone());
    }
}

#[tokio::test]
async fn whoever_makes_children_during_the_removal_leaves_none_behind() {
    for (children, makers) in [(1, 1), (20, 8), (3_000, 8)] {
        let kit = Arc::new(with_top().await);
        kit.children("top", "child", children).await;
        let first = |n: usize| format!("child-{}", n * children / makers);
        let makers: Vec<_> = (0..makers).map(|n| tokio::spawn(make_children(kit.clone(), first(n)))).collect();
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(revoke(&kit, "top").await.failed, None);
        kit.is_clean();
        for maker in makers {
            let made = maker.await.expect("the maker ended by itself");
            assert!(!made.is_empty());
            for token in made {
                assert!(!kit.is_valid(&token).await);
            }
        }
    }
}

#[tokio::test]
async fn an_id_whose_old_token_is_still_being_removed_is_taken() {
    let kit = with_top().await;
    kit.children("top", "child", 5_000).await;
    kit.dies_after(1);
    assert!(revoke(&kit, "top").await.failed.is_some());
    let kit = kit.restarted(true).await;
    let body = json!({ "id": "top", "ttl": "1h" });
    let refused = kit.ask(Verb::Write, "auth/token/create", ROOT, body.clone()).await;
    assert_eq!(refused.kind(), Some(FailureKind::Invalid));
    kit.settle().await;
    assert_eq!(kit.ask(Verb::Write, "auth/token/create", ROOT, body).await.failed, None);
    assert!(kit.is_valid("top").await);
}

#[tokio::test]
async fn an_orphaned_crowd_lives_on() {
    for changes in [1, 3, usize::MAX] {
        let kit = with_top().await;
        kit.write(|tx, open| {
            put_token(tx, open, "middle", Some("top"));
        })
        .await;
        kit.children("middle", "child", 3_000).await;
        kit.dies_after(changes);
        let answer = kit.ask(Verb::Write, "auth/token/revoke-orphan", ROOT, json!({ "token": "middle" })).await;
        assert_eq!(answer.failed.is_none(), changes == usize::MAX);
        let kit = kit.restarted(true).await;
        // Not even the end of who is above reaches the children any more.
        assert_eq!(revoke(&kit, "top").await.failed, None);
        kit.settle().await;
        assert!(!kit.is_valid("middle").await);
        assert_eq!(kit.count(space::TOKENS), 1 + 3_000);
        assert_eq!(kit.count(space::CHILDREN), 0);
        let told = kit.ask(Verb::Read, "auth/token/lookup-self", "child-2999", Value::Null).await.data();
        assert_eq!(told["orphan"], true);
    }
}

#[tokio::test]
async fn the_end_of_a_parent_waits_for_a_removal_below_it() {
    let kit = with_top().await;
    kit.write(|tx, open| {
        put_token(tx, open, "middle", Some("top"));
    })
    .await;
    kit.children("middle", "child", 3_000).await;
    kit.dies_after(2);
    assert!(revoke(&kit, "middle").await.failed.is_some());
    let kit = kit.restarted(true).await;
    assert_eq!(revoke(&kit, "top").await.failed, None);
    assert_eq!(kit.count(space::TOKENS), 1);
    kit.settle().await;
    kit.is_clean();
}

#[tokio::test]
async fn a_token_that_cannot_be_read_does_not_keep_its_tree() {
    let kit = with_top().await;
    kit.children("top", "child", 3).await;
    kit.children("child-1", "grandchild", 3).await;
    kit.write(|tx, open| {
        let key = crate::book::opaque(space::TOKENS, &open.salt.hash("child-1"));
        tx.put(&key, b"\xff damaged").expect("within limits");
    })
    .await;
    assert_eq!(revoke(&kit, "top").await.failed, None);
    assert_eq!(kit.count(space::TOKENS), 1);
    assert_eq!(kit.count(space::CHILDREN), 0);
    kit.clock.advance_secs(36_000);
    kit.settle().await;
    assert_eq!(kit.count(space::DUE), 0);
}

#[tokio::test]
async fn all_accessors_are_listed_in_pages() {
    let kit = with_top().await;
    kit.children("top", "child", 2_500).await;
    let told = kit.ask(Verb::List, "auth/token/accessors", ROOT, Value::Null).await.data();
    let mut keys: Vec<String> = serde_json::from_value(told["keys"].clone()).expect("a list of names");
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 2_502);
    assert!(keys.contains(&"accessor-of-child-2499".to_owned()));
}
