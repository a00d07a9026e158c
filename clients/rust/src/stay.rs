//! A participant that stays in its room while edges come and go: notices that its edge is gone, and resumes at
//! another that it was told of. What is subscribed and published begins anew there; its holder does that.

mod course;

use pulse_proto::{
    control::{FEATURE_ALTERNATES, Ping},
    limits::MAX_ALTERNATES,
};
use serde_json::Number;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use self::course::{Course, Effect, Input};
use crate::{
    address::Address,
    client::{Client, Event, JoinOptions},
    error::ClientError,
};

/// What becomes of a stay.
#[derive(Debug)]
pub enum StayEvent {
    /// The edge says something. Its end is not told: what follows from it is.
    Edge(Event),
    /// The edge is gone, and another one is looked for.
    Away,
    /// In the room again, at the edge with this URL; what it said first is in [`Client::welcome`].
    Back {
        /// Where.
        url: String,
    },
    /// No edge takes it any more; it comes again and again.
    Over(String),
}

/// A stay in a room.
#[derive(Debug)]
pub struct Stay {
    options: JoinOptions,
    course: Course,
    place: Place,
    todo: Vec<Effect>,
}

#[derive(Debug)]
enum Place {
    In(Box<Client>),
    /// On the way to an edge.
    Joining(JoinHandle<Result<Client, ClientError>>),
    Nowhere,
}

/// What has happened.
enum Happened {
    Event(Event),
    Joined(Result<Client, ClientError>),
    Due,
}

impl Stay {
    /// Joins at `url`. That it wants to be told of other edges is added to the options.
    ///
    /// # Errors
    /// As of [`Client::connect`]: the first time nothing is tried twice.
    pub async fn connect(url: &str, options: &JoinOptions) -> Result<Self, ClientError> {
        let mut options = options.clone();
        if !options.features.iter().any(|one| one == FEATURE_ALTERNATES) {
            options = options.feature(FEATURE_ALTERNATES);
        }
        let client = Client::connect(url, &options).await?;
        let mut course = Course::new(Instant::now(), url);
        let welcome = client.welcome();
        options.resume = Some(welcome.resume.clone());
        course.told(welcome.alternates.iter().map(|one| one.url.clone()));
        Ok(Self {
            options,
            course,
            place: Place::In(Box::new(client)),
            todo: Vec::new(),
        })
    }

    /// The connection in use; none while it is away.
    pub fn client(&self) -> Option<&Client> {
        match &self.place {
            Place::In(client) => Some(client),
            Place::Joining(_) | Place::Nowhere => None,
        }
    }

    /// What happens next. Safe to drop before it is there.
    pub async fn next(&mut self) -> StayEvent {
        loop {
            while !self.todo.is_empty() {
                let effect = self.todo.remove(0);
                if let Some(event) = self.execute(effect) {
                    return event;
                }
            }
            let happened = self.wait().await;
            let now = Instant::now();
            let input = match happened {
                Happened::Event(Event::Closed(closed)) => Input::Lost {
                    last_word: closed.error(),
                },
                Happened::Event(event) => {
                    self.course.handle(now, Input::Heard, &mut self.todo);
                    if let Event::Alternates(told) = &event {
                        let urls = told.alternates.iter().take(MAX_ALTERNATES);
                        self.course.told(urls.map(|one| one.url.clone()));
                    }
                    return StayEvent::Edge(event);
                }
                Happened::Joined(Ok(client)) => {
                    self.options.resume = Some(client.welcome().resume.clone());
                    let alternates = &client.welcome().alternates;
                    self.course
                        .told(alternates.iter().map(|one| one.url.clone()));
                    self.place = Place::In(Box::new(client));
                    Input::Joined
                }
                Happened::Joined(Err(error)) => {
                    self.place = Place::Nowhere;
                    Input::Failed {
                        last_word: match &error {
                            ClientError::Refused(closed) => closed.error(),
                            _ => None,
                        },
                    }
                }
                Happened::Due => Input::Tick,
            };
            self.course.handle(now, input, &mut self.todo);
        }
    }

    async fn wait(&mut self) -> Happened {
        let next = self.course.next_timeout();
        let due = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            happened = self.place.next() => happened,
            () = due => Happened::Due,
        }
    }

    fn execute(&mut self, effect: Effect) -> Option<StayEvent> {
        match effect {
            Effect::Ask => {
                if let Place::In(client) = &self.place {
                    // Its answer's round trip is of no use; that it comes is.
                    let ping = Ping { t: Number::from(0) };
                    let frame = pulse_proto::control::encode(client.id(), &ping);
                    client.connection().try_send(&frame);
                }
                None
            }
            Effect::Leave => {
                self.place.leave();
                Some(StayEvent::Away)
            }
            Effect::GiveUp => {
                self.place.leave();
                None
            }
            Effect::Join(url) => {
                let options = self.options.clone();
                self.place = Place::Joining(tokio::spawn(async move {
                    Client::join(&Address::parse(&url)?, &options).await
                }));
                None
            }
            Effect::Back(url) => Some(StayEvent::Back { url }),
            Effect::End(why) => {
                self.place.leave();
                // Nothing follows, and whoever asks again hears it again.
                self.todo = vec![Effect::End(why.clone())];
                Some(StayEvent::Over(why))
            }
        }
    }

    /// Leaves the room for good.
    pub async fn leave(mut self) {
        if let Place::In(client) = std::mem::replace(&mut self.place, Place::Nowhere) {
            client.leave().await;
        }
    }
}

impl Place {
    async fn next(&mut self) -> Happened {
        match self {
            Self::In(client) => Happened::Event(client.next().await),
            Self::Joining(joining) => {
                Happened::Joined(joining.await.unwrap_or_else(|_| Err(ClientError::Closed)))
            }
            Self::Nowhere => std::future::pending().await,
        }
    }

    /// A connection that is given up is cut; an attempt ends.
    fn leave(&mut self) {
        if let Self::Joining(joining) = self {
            joining.abort();
        }
        *self = Self::Nowhere;
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.place.leave();
    }
}
