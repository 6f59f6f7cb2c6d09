//! What one generator thread does for an arrival: its requests one after the other, a row for each.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use gauntlet_core::evidence::{Class, Operation, Request};

use crate::{
    bindings::{Bindings, Salt},
    compile::{Compiled, Prepared, Step},
    connections::Connections,
    exchange::{Answer, Ask, exchange},
    recall::Pools,
    rows::{Rows, Tally},
    schedule::Arrival,
};

/// What all threads of a run share.
pub(crate) struct Run {
    /// The job.
    pub(crate) plan: Compiled,
    /// What was remembered.
    pub(crate) pools: Pools,
    /// What sets this run's UUIDs apart.
    pub(crate) salt: Salt,
    /// What the generator counts.
    pub(crate) tally: Arc<Tally>,
    /// Most arrivals in flight.
    pub(crate) cap: u64,
    /// Zero of all times.
    pub(crate) zero: Instant,
    /// Every key of a write that was sent.
    pub(crate) written: Mutex<BTreeSet<String>>,
}

/// One thread's part of a run.
pub(crate) struct Client {
    /// The run.
    pub(crate) run: Arc<Run>,
    /// Its connections.
    pub(crate) connections: Arc<Connections>,
    /// Its rows.
    pub(crate) rows: Rows,
}

impl Run {
    /// Microseconds since the load began.
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.zero.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Client {
    /// Plays an arrival's behaviour; the first request that goes wrong ends it.
    pub(crate) async fn play(&self, arrival: &Arrival) {
        let plan = &self.run.plan;
        let Some(behaviour) = plan.behaviours.get(usize::from(arrival.behaviour)) else { return };
        let mut bindings = Bindings::of(arrival, &self.run.salt, behaviour.drawn, behaviour.captured);
        let mut intended_us = arrival.at_us;
        for (index, step) in behaviour.steps.clone().zip(&plan.steps[usize::from(behaviour.steps.start)..]) {
            let row = Request { step: index, ..row(intended_us, intended_us) };
            let row = self.ask(step, row, &mut bindings).await;
            let class = row.class;
            intended_us = row.done_us;
            self.rows.push(row);
            if class != Class::Ok {
                return;
            }
        }
    }

    /// Records an arrival that was dropped.
    pub(crate) fn drop_arrival(&self, arrival: &Arrival) {
        self.run.tally.capped.add(1);
        let behaviour = self.run.plan.behaviours.get(usize::from(arrival.behaviour));
        let step = behaviour.map_or(0, |behaviour| behaviour.steps.start);
        self.rows.push(Request { step, class: Class::Capped, ..row(arrival.at_us, self.run.now_us()) });
    }

    async fn ask(&self, step: &Step, row: Request, bindings: &mut Bindings) -> Request {
        let (run, plan) = (&self.run, &self.run.plan);
        let prepared = step.prepare(plan, &run.pools, bindings);
        // Opening a connection is the service's time, not the generator's: the clock of the request starts here.
        let sent_us = run.now_us();
        let Ok(Prepared { request, operation, key, value }) = prepared else {
            return Request { sent_us, done_us: sent_us, class: Class::Unsent, ..row };
        };
        let keep = |status| step.expectation.wants_body(status);
        let ask = Ask { timeout: step.timeout, keep: &keep, arm_header: plan.arm_header.as_ref() };
        let mut answer = Answer::default();
        let failure = exchange(&self.connections, request, &ask, &mut answer).await.err();
        let done_us = run.now_us();
        let (class, found) = match failure {
            Some(class) => (class, None),
            None => {
                let whole = (answer.status, answer.body.as_slice());
                let judged = step.expectation.judge(whole, &plan.data, &run.pools, bindings);
                (judged.class, judged.found)
            }
        };
        self.count(class, operation, &key);
        // What a write wrote stays in its row, whatever came back.
        let found = found.filter(|_| operation != Operation::Write);
        let row = Request { sent_us, done_us, class, operation, key, value: found.unwrap_or(value), ..row };
        answer.tell(row)
    }

    fn count(&self, class: Class, operation: Operation, key: &str) {
        if class == Class::Capped {
            self.run.tally.capped.add(1);
        }
        if !class.was_sent() {
            return;
        }
        self.run.tally.sent.add(1);
        if operation == Operation::Write && self.run.plan.audit.is_some() {
            self.run.written.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned());
        }
    }
}

impl Answer {
    /// Writes what there is of the answer into its row.
    pub(crate) fn tell(self, row: Request) -> Request {
        let bytes = u32::try_from(self.bytes).unwrap_or(u32::MAX);
        Request { arm: self.arm, status: self.status, bytes, ..row }
    }
}

/// A row of which nothing is known yet but its beginning.
pub(crate) fn row(intended_us: u64, sent_us: u64) -> Request {
    Request {
        intended_us,
        sent_us,
        done_us: sent_us,
        step: 0,
        arm: String::new(),
        status: 0,
        class: Class::Unsent,
        bytes: 0,
        operation: Operation::None,
        key: String::new(),
        value: String::new(),
    }
}
