//! Scripted orders: the same each time, so that whoever is killed in the middle of them finishes those.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::order::PlaceOrder;
use crate::{Article, OrderNumber, ParseKeyError, Shop, ShopError};

const CUSTOMERS: [&str; 5] = [
    "ada@example.org",
    "alan@example.org",
    "grace@example.org",
    "nobody@example.org",
    "edsger@example.org",
];

/// The articles, each with its price and the pieces that are there for 200 orders: not enough of the last.
const ARTICLES: [(&str, u64, u32); 4] = [
    ("lamp", 4_490, 400),
    ("chair", 12_900, 400),
    ("vase", 1_995, 400),
    ("clock", 7_950, 40),
];

/// The time after which somebody should look.
const LONG: Duration = Duration::from_secs(60);

/// So many orders.
pub(crate) struct Play {
    orders: u32,
    articles: Vec<(Article, u64, u32)>,
}

/// The number of orders that are placed, or settled, so far.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Progress {
    Placed(u32),
    Settled(u64),
}

impl Play {
    pub(crate) fn of(orders: u32) -> Result<Self, ParseKeyError> {
        let articles = ARTICLES.iter();
        let articles = articles.map(|(name, cents, pieces)| Ok((name.parse()?, *cents, *pieces)));
        Ok(Self {
            orders,
            articles: articles.collect::<Result<_, _>>()?,
        })
    }

    /// Places the orders that are not placed yet, and waits until all are settled.
    pub(crate) async fn play(self, shop: &Shop, mut tell: impl FnMut(Progress)) -> Result<(), ShopError> {
        for (article, _, pieces) in &self.articles {
            shop.open_stock(article, *pieces).await?;
        }
        for number in 1..=self.orders {
            shop.place(OrderNumber::new(number), self.order(number)).await?;
            if number % 50 == 0 {
                tell(Progress::Placed(number));
            }
        }
        let (mut settled, mut since) = (0, Instant::now());
        while settled < u64::from(self.orders) {
            sleep(Duration::from_millis(20)).await;
            let now = shop.settled().await?;
            if now != settled {
                (settled, since) = (now, Instant::now());
                tell(Progress::Settled(settled));
            } else if since.elapsed() > LONG {
                return Err(ShopError::Stuck {
                    open: u64::from(self.orders) - settled,
                    status: shop.status().await?,
                });
            }
        }
        Ok(())
    }

    fn order(&self, number: u32) -> PlaceOrder {
        let (article, cents, _) = &self.articles[number as usize % ARTICLES.len()];
        let quantity = 1 + number / 4 % 3;
        PlaceOrder {
            customer: CUSTOMERS[number as usize / 3 % CUSTOMERS.len()].to_owned(),
            article: article.clone(),
            quantity,
            cents: u64::from(quantity) * cents,
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Placed(orders) => write!(f, "{orders} orders placed"),
            Self::Settled(orders) => write!(f, "{orders} orders settled"),
        }
    }
}
