//! A search, breadth first, through all that can happen in small worlds: notifications are lost,
//! repeated, reordered and learned late through a store, answers lag, processes restart, wall
//! clocks show what they like. The first fault that is found is the shortest way to it.

use std::collections::HashSet;

use super::world::{Budget, Scenario, Step, World};
use crate::status::notified::OpenClose::{self, Delete, Resume, Suspend, Upgrade};

const ALL: &[OpenClose] = &[Upgrade, Suspend, Resume, Delete];

fn small(replicas: usize, ticks: u8, events: u8, deliveries: u8, pulls: u8) -> Scenario {
    Scenario {
        replicas,
        ticks,
        lag: 1,
        notice: 2,
        types: ALL,
        budget: Budget { events, deliveries, pulls, restarts: 0, wrong: 0 },
        shared_seconds: false,
        repeats: false,
        walls: &[0],
    }
}

/// Follows every world until there are no more, or `most` have been seen.
fn search(scenario: &Scenario, most: usize) {
    let first = World::new(scenario);
    let mut seen = HashSet::from([first.key()]);
    let mut ways: Vec<(usize, Step)> = vec![(0, Step::Tick)];
    let mut layer = vec![(first, 0)];
    while !layer.is_empty() && seen.len() < most {
        let mut further = Vec::new();
        for (world, way) in layer {
            world.next(scenario, |step, next, judged| {
                if let Err(fault) = judged {
                    let steps = steps_to(&ways, way);
                    panic!("{fault}\nafter {steps:?} and then {step:?}\nin {next:#?}");
                }
                if seen.len() < most && seen.insert(next.key()) {
                    ways.push((way, step));
                    further.push((next, ways.len() - 1));
                }
            });
        }
        layer = further;
    }
    assert!(seen.len() > 1_000, "only {} states were reached", seen.len());
}

fn steps_to(ways: &[(usize, Step)], mut way: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    while way != 0 {
        steps.push(ways[way].1);
        way = ways[way].0;
    }
    steps.reverse();
    steps
}

/// The most states of one search. Each grows on the last: what goes wrong goes wrong early.
fn most() -> usize {
    std::env::var("SEARCH_ALL").map_or(8_000, |most| most.parse().unwrap())
}

#[test]
fn one_replica_that_restarts_is_never_misled() {
    let mut scenario = small(1, 5, 3, 3, 3);
    scenario.budget.restarts = 1;
    search(&scenario, most());
}

#[test]
fn one_replica_with_deletions_is_never_misled() {
    search(&small(1, 5, 3, 4, 3), most());
}

#[test]
fn a_lag_of_two_ticks_misleads_no_replica() {
    let types = &[Upgrade, Suspend, Resume];
    search(&Scenario { lag: 2, types, ..small(1, 8, 3, 3, 3) }, most());
}

#[test]
fn repeated_closings_mislead_no_replica() {
    let types = &[Upgrade, Suspend, Resume];
    search(&Scenario { repeats: true, types, ..small(1, 7, 4, 4, 2) }, most());
}

#[test]
fn notifications_of_one_second_mislead_no_replica() {
    search(&Scenario { shared_seconds: true, ..small(2, 3, 3, 3, 1) }, most());
}

#[test]
fn wall_clocks_that_jump_mislead_no_replica() {
    let walls = &[0, 1_000_000, 2_000_000_000_000];
    search(&Scenario { walls, types: &[Suspend, Resume], ..small(2, 3, 2, 3, 2) }, most());
    search(&Scenario { walls, shared_seconds: true, ..small(2, 3, 2, 3, 1) }, most());
}

#[test]
fn two_replicas_agree_and_are_never_misled() {
    search(&small(2, 4, 2, 3, 2), most());
    search(&Scenario { types: &[Suspend, Resume], ..small(2, 4, 3, 3, 2) }, most());
}

#[test]
fn two_replicas_that_restart_are_never_misled() {
    let mut scenario = small(2, 5, 1, 2, 3);
    scenario.budget.restarts = 1;
    search(&Scenario { types: &[Upgrade, Suspend], ..scenario }, most());
}

#[test]
fn late_joins_lose_no_better_pull() {
    let types = &[Suspend, Resume];
    let mut scenario = Scenario { types, ..small(2, 4, 2, 1, 3) };
    search(&scenario, most());
    scenario.budget.restarts = 1;
    search(&scenario, most());
}

#[test]
fn a_wrong_answer_breaks_no_other_rule() {
    let mut scenario = small(2, 4, 1, 1, 3);
    scenario.budget.wrong = 1;
    search(&Scenario { types: &[Upgrade, Suspend], ..scenario }, most());
}
