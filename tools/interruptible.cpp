#include "tools/interruptible.hpp"

namespace sisctl {
namespace {

volatile std::sig_atomic_t came = 0;  // volatile: a handler writes it

}  // namespace

Interruptible::Interruptible() {
  came = 0;
  struct sigaction action = {};
  action.sa_handler = [](int) { came = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, &before_);
}

Interruptible::~Interruptible() { ::sigaction(SIGINT, &before_, nullptr); }

bool Interruptible::interrupted() { return came != 0; }

}  // namespace sisctl
