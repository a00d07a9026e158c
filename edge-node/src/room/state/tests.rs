//! What a room decides, input by input.
