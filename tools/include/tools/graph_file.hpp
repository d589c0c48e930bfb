// A graph in a file, as `sisctl graph export` writes it, and the requests that make it.
#pragma once

#include <string>
#include <vector>

#include "tools/guest_words.hpp"

namespace sisctl {

struct GraphRequests {
  std::string graph;  ///< its name
  std::vector<Request> requests;
};

/// Reads a file of at most 1 MiB. Every key and every type is checked; values are the guest's to check. What is wrong
/// is a usage error that says where.
Outcome<GraphRequests> read_graph_file(const std::string& path);
/// The same of a text.
Outcome<GraphRequests> parse_graph(const std::string& text);

}  // namespace sisctl
