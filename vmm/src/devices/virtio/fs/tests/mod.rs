mod confinement;
mod files;
mod guest;
mod hostile;
mod limits;
mod ownership;
mod state;
