//! The namespaces that other tests rely on do what they say.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_e2e::netns::{Loss, Namespace, Star};
use heddle_e2e::turn;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

const PORT: u16 = 4000;
/// As many as a socket holds that nobody reads yet.
const PACKETS: u16 = 200;

#[tokio::test]
async fn a_star_delivers_loses_delays_and_moves() {
    let _turn = turn().await;
    if !Namespace::are_possible().await {
        return;
    }
    let mut star = Star::create(3);
    assert_eq!(delivered(&star, 0, 1), PACKETS);

    star.lose(&Loss::cut([0], [1, 2]));
    assert_eq!((delivered(&star, 0, 1), delivered(&star, 2, 0), delivered(&star, 1, 2)), (0, 0, PACKETS));
    star.lose(&[Loss::one_way([0], [1])]);
    assert_eq!((delivered(&star, 0, 1), delivered(&star, 1, 0)), (0, PACKETS));
    star.lose(&[Loss { percent: 20, ..Loss::one_way([0], [1]) }]);
    // Eight deviations and more on each side: chance leaves this range less than once in 10^9 runs.
    assert!((110..200).contains(&delivered(&star, 0, 1)));
    star.lose(&[]);
    assert_eq!(delivered(&star, 0, 1), PACKETS);

    let old = star.address(1);
    star.change_address(1);
    assert_eq!((delivered(&star, 0, 1), received_at(&star, 0, 1, old)), (PACKETS, 0));

    const DELAY: Duration = Duration::from_millis(200);
    star.delay(Some(DELAY));
    let start = Instant::now();
    assert_eq!(delivered(&star, 0, 1), PACKETS);
    assert!(start.elapsed() >= DELAY);
    star.delay(None);
    assert_eq!(delivered(&star, 0, 1), PACKETS);
}

/// How many of [`PACKETS`] from one leaf arrive at another.
fn delivered(star: &Star, from: usize, to: usize) -> u16 {
    received_at(star, from, to, star.address(to))
}

fn received_at(star: &Star, from: usize, to: usize, address: Ipv4Addr) -> u16 {
    /// Silence after which nothing comes any more: far above every delay here.
    const SILENCE: Duration = Duration::from_secs(1);
    let bind = |leaf| star.leaf(leaf).enter(|| UdpSocket::bind(("0.0.0.0", PORT)).unwrap());
    let (sender, receiver) = (bind(from), bind(to));
    receiver.set_read_timeout(Some(SILENCE)).unwrap();
    (0..PACKETS).for_each(|number| _ = sender.send_to(&number.to_be_bytes(), (address, PORT)).unwrap());
    let mut received = 0;
    while received < PACKETS && receiver.recv(&mut [0; 2]).is_ok() {
        received += 1;
    }
    received
}
