// Follows a machine, as any client of its control server and of its monitor, and keeps a view of it up to date.
#pragma once

#include "tools/session.hpp"
#include "tools/web/machine_view.hpp"

namespace sis_web {

class Follower {
 public:
  /// @param options which machine; a token or key as of sisctl. @param patient the machine may not be there yet
  Follower(sisctl::Options options, sisctl::Target target, bool patient, MachineView& view);

  /// Follows the machine until it has ended. The failure: it cannot be followed, as with a token that is refused.
  sisctl::Outcome<void> run();

 private:
  /// Whether its monitor answers; its state goes into the view.
  bool look_at_monitor();
  sisctl::Outcome<void> follow(sisctl::Session& session);
  void look_at_histograms(sisctl::Session& session);

  sisctl::Options options_;
  sisctl::Target target_;
  bool patient_;
  MachineView& view_;
  bool has_histograms_ = true;  ///< the guest's control server knows the command
};

}  // namespace sis_web
