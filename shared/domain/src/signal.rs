//! Signals raised by silence.
