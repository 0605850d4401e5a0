//! Virtual time on one thread. Jobs run in the order of their due times; jobs due at the same time run in the order of their scheduling.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Owner of a task. A task is cancelled with its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Isolate(usize),
    /// An instance of the registry's object.
    Object(u64),
    /// A client outside, which is never cancelled.
    External,
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    owner: Owner,
    /// `None` while the task is being polled.
    work: Option<Work>,
}

enum Job {
    Wake(usize),
    Call(Box<dyn FnOnce()>),
}

/// Milliseconds since the history began.
pub type Time = i64;

#[derive(Default)]
pub struct Scheduler {
    now: Cell<Time>,
    next_job: Cell<u64>,
    jobs: RefCell<BTreeMap<(Time, u64), Job>>,
    tasks: RefCell<BTreeMap<usize, Task>>,
    next_task: Cell<usize>,
    current_task: Cell<usize>,
}

impl Scheduler {
    pub fn now(&self) -> Time {
        self.now.get()
    }

    fn schedule(&self, at: Time, job: Job) {
        let number = self.next_job.get();
        self.next_job.set(number + 1);
        self.jobs.borrow_mut().insert((at.max(self.now()), number), job);
    }

    pub fn call_at(&self, at: Time, call: impl FnOnce() + 'static) {
        self.schedule(at, Job::Call(Box::new(call)));
    }

    /// Starts a task, due now.
    pub fn start(&self, owner: Owner, work: impl Future<Output = ()> + 'static) {
        let number = self.next_task.get();
        self.next_task.set(number + 1);
        self.tasks.borrow_mut().insert(number, Task { owner, work: Some(Box::pin(work)) });
        self.schedule(self.now(), Job::Wake(number));
    }

    /// Cancels all tasks of an owner.
    pub fn cancel_all(&self, owner: Owner) {
        let cancelled: Vec<Task> = {
            let mut tasks = self.tasks.borrow_mut();
            let numbers: Vec<usize> =
                tasks.iter().filter(|(_, task)| task.owner == owner).map(|(number, _)| *number).collect();
            numbers.iter().filter_map(|number| tasks.remove(number)).collect()
        };
        drop(cancelled);
    }

    /// Cancels one task of an owner, chosen by `index`. Returns whether there was one.
    pub fn cancel_one(&self, owner: Owner, index: u64) -> bool {
        let cancelled = {
            let mut tasks = self.tasks.borrow_mut();
            let numbers: Vec<usize> =
                tasks.iter().filter(|(_, task)| task.owner == owner).map(|(number, _)| *number).collect();
            if numbers.is_empty() {
                return false;
            }
            tasks.remove(&numbers[(index % numbers.len() as u64) as usize])
        };
        drop(cancelled);
        true
    }

    /// Runs every job that is due by `end`, and sets the time to `end`.
    pub fn run_until(&self, end: Time) {
        loop {
            let job = {
                let mut jobs = self.jobs.borrow_mut();
                match jobs.first_key_value() {
                    Some(((at, _), _)) if *at <= end => jobs.pop_first(),
                    _ => None,
                }
            };
            let Some(((at, _), job)) = job else { break };
            self.now.set(at);
            match job {
                Job::Call(call) => call(),
                Job::Wake(number) => self.poll(number),
            }
        }
        self.now.set(end);
    }

    fn poll(&self, number: usize) {
        let Some(mut work) = self.tasks.borrow_mut().get_mut(&number).and_then(|task| task.work.take()) else { return };
        self.current_task.set(number);
        let polled = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let mut tasks = self.tasks.borrow_mut();
        if polled.is_ready() {
            tasks.remove(&number);
        } else if let Some(task) = tasks.get_mut(&number) {
            // Missing if the task cancelled its own owner meanwhile. Its work is dropped then.
            task.work = Some(work);
        }
    }

    /// Drops all jobs and tasks, and with them their references to the world.
    pub fn clear(&self) {
        let jobs = std::mem::take(&mut *self.jobs.borrow_mut());
        drop(jobs);
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        drop(tasks);
    }

    /// Waits for `milliseconds`. Other jobs that are due run meanwhile, even if it is 0.
    pub fn sleep(self: &Rc<Self>, milliseconds: Time) -> Sleep {
        Sleep { scheduler: Rc::clone(self), until: self.now() + milliseconds.max(0), scheduled: false }
    }
}

pub struct Sleep {
    scheduler: Rc<Scheduler>,
    until: Time,
    scheduled: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.scheduled && self.scheduler.now() >= self.until {
            return Poll::Ready(());
        }
        if !self.scheduled {
            self.scheduled = true;
            self.scheduler.schedule(self.until, Job::Wake(self.scheduler.current_task.get()));
        }
        Poll::Pending
    }
}
