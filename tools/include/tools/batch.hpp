// `sisctl batch`: many requests over one connection.
#pragma once

#include "tools/session.hpp"

namespace sisctl {

/// A file is read and checked whole before anything is sent; the standard input ("-") is taken line by line, so that a
/// program can write a line, read its result, and go on. Each request has one line of output, in the order of the
/// requests. The exit code is that of the first that failed.
ExitCode run_batch(const Context& context, const Batch& batch);

}  // namespace sisctl
