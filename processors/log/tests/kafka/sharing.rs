//! Processes that share the lanes of a role.

use crate::rig::{self, LANES, until};
use jupan_log::{Assignment, AssignmentChange, Commit, LaneError, Log};
use jupan_schemas::{Lane, Positions, Role, TopicId};
use std::collections::BTreeSet;
use std::time::Duration;

const WAIT: Duration = Duration::from_millis(50);

/// A process with the lanes that it was given.
struct Process {
    assignment: Box<dyn Assignment>,
    lanes: BTreeSet<u16>,
}

impl Process {
    fn join(log: &dyn Log) -> Self {
        let assignment = log.assignment(Role::Users).expect("it joins");
        Self { assignment, lanes: BTreeSet::new() }
    }

    /// Applies what changed; its lanes stop at once.
    fn turn(&mut self) -> Vec<AssignmentChange> {
        let changes = self.assignment.poll(WAIT).expect("poll");
        for change in &changes {
            match change {
                AssignmentChange::Assigned(lane) => {
                    assert!(self.lanes.insert(lane.index), "{lane} was assigned twice");
                }
                AssignmentChange::Revoked(lane) => {
                    assert!(self.lanes.remove(&lane.index), "{lane} was never assigned");
                }
            }
        }
        changes
    }
}

fn all() -> BTreeSet<u16> {
    (0..LANES).collect()
}

#[test]
fn two_processes_share_the_lanes_and_one_that_leaves_hands_over() {
    let options = rig::made();
    let (log, other_log) = (rig::open(&options), rig::open(&options));
    let mut first = Process::join(&log);
    assert!(!log.is_assigned(), "nothing is known yet");
    until("the first has all lanes", || {
        first.turn();
        first.lanes == all()
    });
    assert!(log.is_assigned());
    let mut second = Process::join(&other_log);
    until("each has its share", || {
        first.turn();
        second.turn();
        assert!(first.lanes.is_disjoint(&second.lanes), "no lane has two owners");
        first.lanes.len() == 1 && second.lanes.len() == 1
    });
    drop(first);
    until("the one that stays has all", || {
        second.turn();
        second.lanes == all()
    });
}

#[test]
fn a_lane_commits_by_its_generation_only() {
    let options = rig::made();
    let (log, other_log) = (rig::open(&options), rig::open(&options));
    let lane_id = Lane { role: Role::Users, index: 0 };
    let mut first = Process::join(&log);
    assert!(
        matches!(log.open(lane_id), Err(LaneError::Fenced { .. })),
        "no generation is established yet"
    );
    until("the first has all lanes", || {
        first.turn();
        first.lanes == all()
    });
    let mut lane = log.open(lane_id).expect("open");
    lane.seek(Positions::default()).expect("seek");
    let step = |n: u8| Commit {
        steps: vec![vec![n].into()],
        positions: Positions { commands: u64::from(n), inbox: 40 + u64::from(n) },
        ..Commit::default()
    };
    lane.commit(step(1)).expect("by its generation");
    lane.check_owner().expect("it is the owner");
    assert_eq!(rig::group_offset(&options, Role::Users, TopicId::UserCommands), Some(1));
    assert_eq!(rig::group_offset(&options, Role::Users, TopicId::UserInbox), Some(41));
    let mut second = Process::join(&other_log);
    until("the first is told to stop", || {
        second.turn();
        first.turn().iter().any(|change| matches!(change, AssignmentChange::Revoked(_)))
    });
    lane.commit(step(2)).expect("until it has stopped, the generation is still its own");
    until("the first has let go", || {
        first.turn();
        second.turn();
        !first.lanes.is_empty() && !second.lanes.is_empty()
    });
    for _ in 0..2 {
        let refused = lane.commit(step(3)).expect_err("its generation is over");
        assert!(matches!(refused, LaneError::Fenced { .. }), "{refused}");
    }
    let journal = other_log.read(TopicId::UserJournal, 0, 0, rig::ALL).expect("read").records;
    assert_eq!(journal.len(), 2, "nothing of a generation that is over");
}
