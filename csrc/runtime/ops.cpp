#include "ops.h"

#include <array>
#include <stdexcept>

namespace pybp {
namespace {

constexpr std::array kActivations = {"identity",     "relu",     "straight_through_relu",
                                     "leaky_relu",   "sigmoid",  "tanh",
                                     "elu",          "selu",     "gelu",
                                     "gelu_tanh",    "silu",     "mish",
                                     "softplus",     "softsign", "hard_tanh",
                                     "hard_sigmoid", "heaviside"};
static_assert(kActivations.size() == static_cast<std::size_t>(Activation::heaviside) + 1);

constexpr std::array kLossFunctions = {"squared", "absolute",   "huber",       "quantile",    "bce",
                                       "kl_div",  "kl_div_log", "poisson_log", "poisson_rate"};
static_assert(kLossFunctions.size() == static_cast<std::size_t>(LossFunction::poisson_rate) + 1);

constexpr std::array kReductions = {"mean", "batch", "samples", "sum"};
static_assert(kReductions.size() == static_cast<std::size_t>(Reduction::sum) + 1);

constexpr std::array kCells = {"rnn_tanh", "rnn_relu", "lstm", "gru"};
static_assert(kCells.size() == static_cast<std::size_t>(Cell::gru) + 1);

constexpr std::array kBagModes = {"sum", "mean", "max"};
static_assert(kBagModes.size() == static_cast<std::size_t>(BagMode::max) + 1);

// The names stand in the order of the enum, which the caller casts the index to.
template <std::size_t size>
int index_of(const std::array<const char*, size>& names, const std::string& name) {
    std::string known;
    for (std::size_t i = 0; i < size; ++i) {
        if (name == names[i]) return static_cast<int>(i);
        known += (i == 0 ? "" : ", ") + std::string(names[i]);
    }
    throw std::invalid_argument("expected one of " + known + ", got '" + name + "'");
}

}  // namespace

Activation parse_activation(const std::string& name) {
    return static_cast<Activation>(index_of(kActivations, name));
}

LossFunction parse_loss_function(const std::string& name) {
    return static_cast<LossFunction>(index_of(kLossFunctions, name));
}

Reduction parse_reduction(const std::string& name) {
    return static_cast<Reduction>(index_of(kReductions, name));
}

Cell parse_cell(const std::string& name) { return static_cast<Cell>(index_of(kCells, name)); }

BagMode parse_bag_mode(const std::string& name) {
    return static_cast<BagMode>(index_of(kBagModes, name));
}

}  // namespace pybp
