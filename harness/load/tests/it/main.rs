//! The load process against real servers on this machine.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod classes;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod process;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod truth;
