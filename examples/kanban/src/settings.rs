//! Settings without a history: the name of the workspace, and its people.

use es_runtime::prelude::*;
use es_runtime::state::{Changes, Entities, Entity, StateManager};
use es_sqlite::SqliteStore;

use crate::{Handle, KanbanError};

/// The settings of a workspace.
#[entity(name = "workspace", id = id)]
pub struct Workspace {
    /// Names the workspace: there is one in a file.
    pub id: String,
    /// The name that its people use.
    pub name: String,
    /// The number of cards of a column that are shown.
    pub shown: u32,
}

/// Somebody who works on cards.
#[entity(name = "person", id = handle)]
pub struct Person {
    /// Names them on cards.
    pub handle: Handle,
    /// Their name.
    pub name: String,
}

/// The settings, as they are now.
pub struct Settings {
    manager: StateManager,
    workspaces: Entities<Workspace>,
    people: Entities<Person>,
}

/// The namespace of the settings in the store.
const NAMESPACE: &str = "settings";
/// The id of the workspace.
const WORKSPACE: &str = "workspace";

impl Settings {
    /// Reads the settings from `store`.
    pub(crate) async fn restore(store: SqliteStore) -> Result<Self, KanbanError> {
        let (workspaces, people) = (Entities::new(), Entities::new());
        let manager = StateManager::builder(store)
            .repository(workspaces.clone())
            .repository(people.clone())
            .build();
        manager.restore(NAMESPACE).await?;
        Ok(Self {
            manager,
            workspaces,
            people,
        })
    }

    /// The settings of the workspace.
    pub fn workspace(&self) -> Workspace {
        match self.workspaces.get(&WORKSPACE.to_owned()) {
            Some(workspace) => (*workspace).clone(),
            None => Workspace {
                id: WORKSPACE.to_owned(),
                name: "a workspace".to_owned(),
                shown: 8,
            },
        }
    }

    /// The people, in the order of their handles.
    pub fn people(&self) -> Vec<Person> {
        self.people.iter().map(|person| (*person).clone()).collect()
    }

    /// Returns whether somebody has this handle.
    pub fn knows(&self, handle: &Handle) -> bool {
        self.people.get(handle).is_some()
    }

    /// Changes the settings of the workspace.
    pub async fn set_workspace(&self, name: String, shown: u32) -> Result<(), KanbanError> {
        let id = WORKSPACE.to_owned();
        let is_new = self.workspaces.get(&id).is_none();
        self.save(&Workspace { id, name, shown }, is_new).await
    }

    /// Adds a person, or changes their name.
    pub async fn set_person(&self, handle: Handle, name: String) -> Result<(), KanbanError> {
        let is_new = !self.knows(&handle);
        self.save(&Person { handle, name }, is_new).await
    }

    /// Removes a person.
    pub async fn remove_person(&self, handle: &Handle) -> Result<(), KanbanError> {
        if !self.knows(handle) {
            return Err(KanbanError::Nobody(handle.clone()));
        }
        let changes = Changes::of(NAMESPACE).delete::<Person>(handle);
        Ok(self.manager.persist(changes).await?)
    }

    async fn save<E: Entity>(&self, entity: &E, is_new: bool) -> Result<(), KanbanError> {
        let changes = Changes::of(NAMESPACE);
        let changes = if is_new {
            changes.create(entity)
        } else {
            changes.update(entity)
        };
        Ok(self.manager.persist(changes).await?)
    }
}
