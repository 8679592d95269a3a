//! Seeds that have failed because of a bug, with what was wrong. Each of a bug of the machine fails again when its fix is taken out.

use bowline_sim::run;

fn pass(seeds: &[u64]) {
    for &seed in seeds {
        if let Err(failure) = run(seed) {
            panic!("{failure}");
        }
    }
}

/// `economy`: the farewell of the old holder came after the first advert of its successor, by another way, and the next Backup
/// took over beside the successor.
#[test]
fn a_farewell_behind_the_successors_advert() {
    pass(&[0x276c, 0x3453]);
}

/// `moves`, then `clients`: the farewell of a router that was not heard made Skew_Time of the first wait of one that had just
/// started, which took over from a holder that was well.
#[test]
fn a_farewell_from_nobody_that_was_heard() {
    pass(&[0x24fc]);
}

/// `moves`: a Backup that had let its timer run on against lower adverts, and then could not serve any more, took over with the
/// rest of that wait.
#[test]
fn the_rest_of_a_wait_for_preemption() {
    pass(&[0xf37]);
}

/// `clients`: after a partition the loser went without a word, and its side's clients went on to look for the address there until
/// the winner's next announcement of the schedule, 30 seconds later.
#[test]
fn a_loser_that_says_nothing() {
    pass(&[0x1, 0xe, 0x1c]);
}

/// `clients`: one announcement after a lower advert, and neighbours that are deaf for a second after each change.
#[test]
fn one_announcement_is_not_enough() {
    pass(&[0x1f, 0x2f]);
}

/// `clients`: a router that gave way before it had its addresses did so without a word, and the holder, which had been cut off
/// from everybody, never heard that it had not been alone; clients went on to look for the address at a third, frozen one.
#[test]
fn a_router_that_gives_way_before_it_has_the_addresses() {
    pass(&[0x98_c671]);
}

/// Not of the machine: the world let a process end before its connections did.
#[test]
fn the_end_of_a_process_whose_address_was_removed() {
    pass(&[0x6a45]);
}

/// Not of the machine: four of five routers were Active in a link that was split in many ways, and answered each other.
#[test]
fn many_that_answer_each_other() {
    pass(&[0x1_6e27]);
}

/// Not of the machine: a router of another make took over for a moment, gave way without a word, and was not heard by the holder.
#[test]
fn a_moment_of_another_make() {
    pass(&[0xb7d9]);
}

/// `clients`: a holder that could not serve offered the addresses, and took for a successor one that could not serve either and
/// had been Active beside it, deaf. That one did not notice, and clients went on to look for the address at the old holder.
#[test]
fn an_offer_that_a_deaf_rival_seems_to_take() {
    pass(&[0x131_3760]);
}

/// `moves`: of two Active routers that did not hear each other the better one could not serve any more. A Backup took over from it,
/// though the other one, which could, was about to be alone.
#[test]
fn a_holder_that_cannot_serve_beside_one_that_can() {
    pass(&[0x210_72c2]);
}

/// `preemption`: a Backup that could not serve gave others the time to follow the holder's offer, and took all of that time though it
/// could serve a moment later.
#[test]
fn one_that_can_serve_a_moment_after_the_offer() {
    pass(&[0x400_0693]);
}

/// Not of the machine: its clock was slow, and five seconds were not over for it.
#[test]
fn a_slow_clock() {
    pass(&[0x400_235f]);
}

/// Not of the machine: the holder's link was down when it could serve again.
#[test]
fn a_holder_that_is_not_there_any_more() {
    pass(&[0x400_0127]);
}

/// Not of the machine: a router that gave way was not heard by the one that stayed, which tells its clients when it is time.
#[test]
fn a_loser_that_is_not_heard() {
    pass(&[0x500_44f6]);
}

/// `moves`: a Backup that had stood still read a farewell among what had waited for it, and not what the successor had said since.
#[test]
fn an_old_farewell_after_standing_still() {
    pass(&[0x600_3b37]);
}

/// Not of the machine: a Backup preempted by the priority that the holder had had until four milliseconds before.
#[test]
fn a_priority_that_was_not_heard_yet() {
    pass(&[0x700_03d4]);
}

/// `clients`: a holder that had stood still, and could not serve, offered the addresses at the moment in which a lesser one gave way
/// to it. Its clients were told neither then nor when it went on because nobody took them.
#[test]
fn an_offer_just_after_two_were_active() {
    pass(&[0x800_ab85, 0x800_e1d0]);
}

/// `clients`: a holder that stopped for good did not take one that could not serve for its successor, and argued with it.
#[test]
fn a_successor_of_the_last_resort() {
    pass(&[0xa00_2afb]);
}
