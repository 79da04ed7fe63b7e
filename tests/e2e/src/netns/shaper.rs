//! Packets that take their time: what `tc netem` does, for kernels that do not have it.

use super::Namespace;
use rustix::ioctl::{Setter, ioctl};
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// The interface through which packets pass this process.
pub(super) const INTERFACE: &str = "delay";
/// Largest packet of the interface, with room to spare.
const PACKET_MAX: usize = 2048;
/// Most packets held at once; above, the kernel's own queue fills, and then packets are lost.
const HELD_MAX: usize = 65_536;

/// What `TUNSETIFF` takes: `struct ifreq` of `<linux/if.h>`.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Holds every packet that is routed into its interface for a time, and lets it out of there in the same order.
/// Dropping it removes the interface, with the packets that are held.
#[derive(Debug)]
pub(super) struct Shaper {
    namespace: Arc<Namespace>,
}

impl Shaper {
    /// Makes the interface in a namespace.
    ///
    /// # Panics
    /// When it cannot be made, or is there already.
    pub(super) fn new(namespace: Arc<Namespace>, delay: Duration) -> Self {
        let device = namespace.enter(open).unwrap_or_else(|error| panic!("no tun interface: {error}"));
        namespace.ip(&["link", "set", INTERFACE, "up"]);
        let (hold, held) = sync_channel(HELD_MAX);
        let output = device.try_clone().unwrap();
        std::thread::spawn(move || receive(device, &hold, delay));
        std::thread::spawn(move || release(output, &held));
        Self { namespace }
    }
}

impl Drop for Shaper {
    fn drop(&mut self) {
        // Both threads end by the errors that follow, and let go of the namespace.
        let _ = self.namespace.output("ip", &["link", "del", INTERFACE]);
    }
}

/// Opens the device, which belongs to the namespace of the thread that does.
fn open() -> io::Result<File> {
    const TUNSETIFF: u32 = 0x4004_54ca;
    const IFF_TUN: u16 = 0x0001;
    const IFF_NO_PI: u16 = 0x1000;
    let device = File::options().read(true).write(true).open("/dev/net/tun")?;
    let mut request = InterfaceRequest { name: [0; 16], flags: IFF_TUN | IFF_NO_PI, rest: [0; 22] };
    request.name[..INTERFACE.len()].copy_from_slice(INTERFACE.as_bytes());
    #[expect(unsafe_code, reason = "no safe crate of ours makes a tun interface")]
    // SAFETY: TUNSETIFF reads one `struct ifreq`, whose layout `InterfaceRequest` has, and keeps no pointer to it.
    unsafe {
        ioctl(&device, Setter::<TUNSETIFF, InterfaceRequest>::new(request))?;
    }
    Ok(device)
}

type Held = (Instant, Vec<u8>);

fn receive(mut device: File, hold: &SyncSender<Held>, delay: Duration) {
    let mut buffer = [0; PACKET_MAX];
    while let Ok(length) = device.read(&mut buffer) {
        if hold.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
            return;
        }
    }
}

fn release(mut device: File, held: &Receiver<Held>) {
    for (due, packet) in held {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if device.write_all(&packet).is_err() {
            return;
        }
    }
}
