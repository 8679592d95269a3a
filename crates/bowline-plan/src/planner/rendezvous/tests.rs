use super::*;

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

fn orders_of(clients: &[String], servers: &[String]) -> Vec<Vec<usize>> {
    let clients: Vec<&str> = clients.iter().map(String::as_str).collect();
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    orders(&clients, &servers)
}

fn spread(counts: &[usize]) -> usize {
    counts.iter().max().unwrap() - counts.iter().min().unwrap()
}

/// How often each server is at `rank`.
fn counts(orders: &[Vec<usize>], servers: usize, rank: usize) -> Vec<usize> {
    let count = |server| orders.iter().filter(|order| order.get(rank) == Some(&server)).count();
    (0..servers).map(count).collect()
}

#[test]
fn first_and_second_choices_differ_by_one_at_most_for_every_small_size() {
    for servers in 1..12 {
        for clients in 0..60 {
            let orders = orders_of(&names("node-", clients), &names("cp", servers));
            assert_eq!(orders.len(), clients);
            for order in &orders {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..servers).collect::<Vec<_>>(), "every server once");
            }
            for rank in 0..servers.min(2) {
                let counts = counts(&orders, servers, rank);
                assert!(
                    spread(&counts) <= 1,
                    "{clients} clients, {servers} servers, rank {rank}: {counts:?}"
                );
            }
        }
    }
}

#[test]
fn large_clusters_are_balanced_too() {
    let orders = orders_of(&names("node-", 20_000), &names("cp", 7));
    assert!(spread(&counts(&orders, 7, 0)) <= 1 && spread(&counts(&orders, 7, 1)) <= 1);
}

#[test]
fn the_clients_of_a_dead_server_go_to_all_others() {
    let orders = orders_of(&names("node-", 5_000), &names("cp", 5));
    for dead in 0..5 {
        let heirs: Vec<Vec<usize>> = orders.iter().filter(|order| order[0] == dead).cloned().collect();
        let mut counts = counts(&heirs, 5, 1);
        counts.remove(dead);
        assert!(spread(&counts) <= 10, "{dead}: {counts:?}");
    }
}

#[test]
fn the_order_of_names_does_not_matter() {
    let (clients, servers) = (names("node-", 100), names("cp", 5));
    let forward = orders_of(&clients, &servers);
    let backward = orders_of(&clients.iter().rev().cloned().collect::<Vec<_>>(), &servers);
    assert_eq!(forward, backward.into_iter().rev().collect::<Vec<_>>());
}

#[test]
fn another_client_changes_little() {
    let (clients, servers) = (names("node-", 1_000), names("cp", 3));
    let before = orders_of(&clients, &servers);
    let after = orders_of(&[clients.as_slice(), &["new".to_owned()]].concat(), &servers);
    let moved = before.iter().zip(&after).filter(|(before, after)| before[0] != after[0]).count();
    assert!(moved <= 20, "{moved} of 1000 clients have another first choice");
}

#[test]
fn another_server_takes_its_share_and_little_else() {
    let clients = names("node-", 1_000);
    let before = orders_of(&clients, &names("cp", 4));
    let after = orders_of(&clients, &names("cp", 5));
    let moved = before.iter().zip(&after).filter(|(before, after)| before[0] != after[0]).count();
    assert!((200..300).contains(&moved), "{moved} of 1000 clients have another first choice");
}

#[test]
fn hashes_are_the_same_in_every_version() {
    // Nodes of different versions have to agree, so these numbers never change.
    assert_eq!(hash(""), 0xf52a_15e9_a9b5_e89b);
    assert_eq!(hash("cp1"), 0xf7f3_2f77_e644_5c4a);
}
