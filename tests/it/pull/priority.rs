//! The order of pulls when there are more than the limit allows.

use std::collections::{HashMap, HashSet};

use harness::{TestEnv, amount, tenant_number as tenant, within};
use tokio::time::{Duration, sleep};
use tower_superoffice::{ChangeType, pull::Schedule};

use super::{HOUR, MINUTE};

/// The number of pulls that each tenant had.
fn requests(env: &TestEnv, tenants: impl IntoIterator<Item = usize>) -> HashMap<usize, u64> {
    let requests = |number| (number, env.simulator.state_requests(&tenant(number)));
    tenants.into_iter().map(requests).collect()
}

#[tokio::test(start_paused = true)]
async fn refused_and_awaited_tenants_are_pulled_first_in_an_upgrade_night() {
    let tenants = amount("TENANTS", 3_000, 10_000);
    let env = TestEnv::on_tokio_clock().await;
    for number in 0..tenants {
        env.simulator.upgrade(&tenant(number)).await.unwrap();
    }
    // Long after all of them have come to be due, a few are called, and a few are waited for.
    sleep(90 * Duration::from_secs(1)).await;
    // A list of all of them changes nothing.
    for number in 0..tenants {
        assert!(env.gate.next_pull(&tenant(number)).is_some());
    }
    let refused: Vec<_> = (0..100).map(|number| tenants - 1 - number * 17).collect();
    let awaited: Vec<_> = (0..100).map(|number| tenants - 2 - number * 17).collect();
    for number in &refused {
        assert!(env.gate.check(&tenant(*number)).is_err());
    }
    let waiting: Vec<_> =
        awaited.iter().map(|number| tokio::spawn(env.gate.available(&tenant(*number)))).collect();
    sleep(Duration::from_millis(1)).await;
    let wanted: HashSet<_> = refused.iter().chain(&awaited).copied().collect();
    let before = requests(&env, 0..tenants);
    // At 10 a second.
    sleep(Duration::from_millis(19_950)).await;
    let after = requests(&env, 0..tenants);
    let pulled = |number: &usize| after[number] > before[number];
    let (first, others): (Vec<_>, Vec<_>) =
        (0..tenants).filter(pulled).partition(|number| wanted.contains(number));
    println!("{} of {} wanted tenants in 20 s, {} others", first.len(), wanted.len(), others.len());
    assert!(first.len() >= 185, "{}", first.len());
    assert!(others.len() <= 5, "{}", others.len());

    // They come again while they are waited for, and no other is forgotten.
    for number in 0..tenants {
        env.simulator.resume(&tenant(number)).without_notification();
    }
    within(18 * MINUTE, futures::future::join_all(waiting)).await;
    let closed = env.gate.health().closed();
    assert!(closed > tenants / 2, "the others wait longer: {closed}");
    let bound = Duration::from_secs(20 * 60 + tenants as u64 / 5);
    let all = async {
        while env.gate.health().closed() > 0 {
            sleep(Duration::from_secs(5)).await;
        }
    };
    within(bound, all).await;
}

#[tokio::test(start_paused = true)]
async fn settle_pull_after_an_upgrade_waits_for_an_idle_moment() {
    let schedule = Schedule::new().pulls_per_second(1);
    let env = TestEnv::on_tokio_clock_with(|builder| builder.schedule(schedule)).await;
    for number in 0..20 {
        env.simulator.upgrade(&tenant(number)).await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    for number in 0..20 {
        env.simulator.resume(&tenant(number)).await.unwrap();
    }
    // An answer to these changes something, as to a Resume that answers no Upgrade.
    sleep(Duration::from_secs(30)).await;
    for number in 100..130 {
        env.simulator.notify(ChangeType::Suspend, &tenant(number)).await.unwrap();
    }
    sleep(Duration::from_secs(31)).await;
    let early: u64 = requests(&env, 0..20).values().sum();
    assert!((1..=3).contains(&early), "{early} of 20 are made while nothing else is due");
    env.gate.track((200..260).map(tenant));
    sleep(Duration::from_secs(58)).await;
    assert_eq!(requests(&env, 0..20).values().sum::<u64>(), early);
    assert!(env.gate.health().pulls().unwrap().waiting() > 0);
    sleep(HOUR).await;
    assert!(requests(&env, 0..20).values().all(|made| *made == 1), "each is made in the end");
    assert!(requests(&env, 100..130).values().all(|made| *made >= 1));
}

#[tokio::test(start_paused = true)]
async fn refused_calls_do_not_stop_the_pulls_of_others() {
    let schedule = Schedule::new().pulls_per_second(1);
    let env = TestEnv::on_tokio_clock_with(|builder| builder.schedule(schedule)).await;
    for number in 0..200 {
        env.simulator.upgrade(&tenant(number)).await.unwrap();
    }
    // A hundred tenants are called all the time: more than one pull a second serves.
    for _ in 0..3 * 3600 / 20 {
        for number in 0..100 {
            let _ = env.gate.check(&tenant(number));
        }
        sleep(Duration::from_secs(20)).await;
    }
    let made = requests(&env, 100..200);
    assert!(made.values().all(|made| *made > 0), "{made:?}");
}
