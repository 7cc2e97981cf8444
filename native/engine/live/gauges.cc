#include "gauges.h"

#include "../worker.h"

namespace sluice {
namespace {

constexpr uint32_t kSlotsALetter = 4096;  // some 20 us where every one has a set

}  // namespace

class Surveys::Letter final : public sluice::Letter {
 public:
  explicit Letter(std::shared_ptr<Survey> survey) : survey_(std::move(survey)) {}

  void read(Worker& worker) noexcept override {
    ports_ = worker.local_ports().ports_a_set();
    survey_->ended = worker.local_ports().survey(survey_->at, kSlotsALetter, survey_->so_far);
  }
  void answer(bool was_read) override {
    const std::lock_guard lock(survey_->mutex);
    survey_->asked = false;
    if (!was_read || !survey_->ended) return;
    survey_->known = {survey_->so_far, ports_};
    survey_->so_far = {};
  }

 private:
  const std::shared_ptr<Survey> survey_;
  uint32_t ports_ = 0;
};

std::vector<Gauges::Ports> Surveys::read(Wiring& wiring) {
  std::vector<Gauges::Ports> all;
  for (unsigned w = 0; w < workers_.size(); ++w) {
    Survey& survey = *workers_[w];
    const std::lock_guard lock(survey.mutex);
    all.push_back(survey.known);
    if (survey.asked) continue;
    survey.asked = true;
    wiring.mail[w].in.put(std::make_unique<Letter>(workers_[w]));
    wiring.worker_bells[w].ring();
  }
  return all;
}

}  // namespace sluice
