//! Virtual time. Everything runs on one thread; what is due first runs first, and of two at once the one that was planned first.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Whose task it is: it ends with its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Isolate(usize),
    /// An instance of the registry's object.
    Object(u64),
    /// Somebody outside who waits for an answer.
    Nobody,
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

struct Task {
    owner: Owner,
    /// Gone while it runs.
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
    planned: Cell<u64>,
    jobs: RefCell<BTreeMap<(Time, u64), Job>>,
    tasks: RefCell<BTreeMap<usize, Task>>,
    started: Cell<usize>,
    current: Cell<usize>,
}

impl Scheduler {
    pub fn now(&self) -> Time {
        self.now.get()
    }

    fn plan(&self, at: Time, job: Job) {
        let number = self.planned.get();
        self.planned.set(number + 1);
        self.jobs.borrow_mut().insert((at.max(self.now()), number), job);
    }

    pub fn call_at(&self, at: Time, call: impl FnOnce() + 'static) {
        self.plan(at, Job::Call(Box::new(call)));
    }

    /// Starts a task at once.
    pub fn start(&self, owner: Owner, work: impl Future<Output = ()> + 'static) {
        let number = self.started.get();
        self.started.set(number + 1);
        self.tasks.borrow_mut().insert(number, Task { owner, work: Some(Box::pin(work)) });
        self.plan(self.now(), Job::Wake(number));
    }

    /// Drops all tasks of an owner.
    pub fn end(&self, owner: Owner) {
        let ended: Vec<Task> = {
            let mut tasks = self.tasks.borrow_mut();
            let numbers: Vec<usize> =
                tasks.iter().filter(|(_, task)| task.owner == owner).map(|(number, _)| *number).collect();
            numbers.iter().filter_map(|number| tasks.remove(number)).collect()
        };
        drop(ended);
    }

    /// Drops one task of an owner, the `place`-th that is under way.
    pub fn end_one(&self, owner: Owner, place: u64) -> bool {
        let ended = {
            let mut tasks = self.tasks.borrow_mut();
            let numbers: Vec<usize> =
                tasks.iter().filter(|(_, task)| task.owner == owner).map(|(number, _)| *number).collect();
            if numbers.is_empty() {
                return false;
            }
            tasks.remove(&numbers[(place % numbers.len() as u64) as usize])
        };
        drop(ended);
        true
    }

    /// Runs whatever is due until `end`.
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
        self.current.set(number);
        let polled = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let mut tasks = self.tasks.borrow_mut();
        if polled.is_ready() {
            tasks.remove(&number);
        } else if let Some(task) = tasks.get_mut(&number) {
            // Not there any more if it ended its own owner: then it ends too.
            task.work = Some(work);
        }
    }

    /// Forgets everything that is planned, so that nothing keeps the world alive.
    pub fn clear(&self) {
        let jobs = std::mem::take(&mut *self.jobs.borrow_mut());
        drop(jobs);
        let tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        drop(tasks);
    }

    /// Comes back after so many milliseconds; others run meanwhile even if it is none.
    pub fn sleep(self: &Rc<Self>, milliseconds: Time) -> Sleep {
        Sleep { scheduler: Rc::clone(self), until: self.now() + milliseconds.max(0), planned: false }
    }
}

pub struct Sleep {
    scheduler: Rc<Scheduler>,
    until: Time,
    planned: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.planned && self.scheduler.now() >= self.until {
            return Poll::Ready(());
        }
        if !self.planned {
            self.planned = true;
            self.scheduler.plan(self.until, Job::Wake(self.scheduler.current.get()));
        }
        Poll::Pending
    }
}
