// The cells of one ISA level: what a time step does beside its products.
#include "table.h"
#include "vmath.h"

namespace pybp {
namespace {

// f(row, offset, head) for all vectors of a step.
template <class T, class F>
PYBP_INLINE void for_each_unit(const CellRows& at, F f) {
    for (std::ptrdiff_t r = 0; r < at.rows; ++r) {
        for_each_vector<T>(at.units, [&](std::ptrdiff_t i, auto head) { f(r, i, head); });
    }
}

// The sigmoid of a gate, in fewer steps than that of vmath.h: 1 / (1 + e^-x) is right from end to
// end as long as e^-x is a normal number, and what lies beyond is denormal, 0 in a native call.
template <class T>
PYBP_INLINE V<T> gate(V<T> x) {
    constexpr T kLeast = sizeof(T) == 4 ? T{-87} : T{-708};
    constexpr T kMost = sizeof(T) == 4 ? T{88} : T{709};
    const ExpParts<T> parts = exp_parts<T>(max<T>(min<T>(-x, kMost), kLeast));
    const V<T> e = ((parts.r + parts.rest) + T{1}) * power_of_two<T>(parts.n);
    return T{1} / (e + T{1});
}

// ---------------------------------------------------------------------------------- forward

template <class T, class HeadType>
PYBP_INLINE void store_state(const CellForward<T>& at, std::ptrdiff_t place, V<T> h,
                             HeadType head) {
    store(at.y + place, h, head);
    store(at.h + place, h, head);
    if (at.mask) store(at.masked + place, h * load(at.mask + place, head), head);
}

template <class T, bool kTanh>
void rnn_forward(const CellForward<T>& at) {
    for_each_unit<T>(at, [&](std::ptrdiff_t r, std::ptrdiff_t i, auto head) {
        const V<T> z = load(at.gates + r * at.gates_row + i, head);
        store_state(at, r * at.stride + i, kTanh ? tanh<T>(z) : max<T>(z, T{0}), head);
    });
}

// Two passes over a row: a function of a function would leave the processor waiting, many vectors
// of one function side by side don't.
template <class T>
void lstm_forward(const CellForward<T>& at) {
    for (std::ptrdiff_t r = 0; r < at.rows; ++r) {
        T* row = at.gates + r * at.gates_row;
        T* c = at.c + r * at.stride;
        for_each_vector<T>(at.units, [&](std::ptrdiff_t j, auto head) {
            T* gates = row + j;
            const V<T> i = gate<T>(load(gates, head));
            const V<T> f = gate<T>(load(gates + at.stride, head));
            const V<T> g = tanh<T>(load(gates + 2 * at.stride, head));
            const V<T> o = gate<T>(load(gates + 3 * at.stride, head));
            store(gates, i, head);
            store(gates + at.stride, f, head);
            store(gates + 2 * at.stride, g, head);
            store(gates + 3 * at.stride, o, head);
            store(c + j, f * load(c + j, head) + i * g, head);
        });
        for_each_vector<T>(at.units, [&](std::ptrdiff_t j, auto head) {
            const V<T> now = load(c + j, head);
            if (at.cells) store(at.cells + r * at.stride + j, now, head);
            const V<T> o = load(row + 3 * at.stride + j, head);
            store_state(at, r * at.stride + j, o * tanh<T>(now), head);
        });
    }
}

template <class T>
void gru_forward(const CellForward<T>& at) {
    for (std::ptrdiff_t k = 0; k < at.rows; ++k) {
        T* row = at.gates + k * at.gates_row;
        for_each_vector<T>(at.units, [&](std::ptrdiff_t i, auto head) {
            T* gates = row + i;
            const V<T> r = gate<T>(load(gates, head));
            const V<T> u = gate<T>(load(gates + at.stride, head));
            V<T> q = load(gates + 3 * at.stride, head);
            if (at.q_bias) q = q + load(at.q_bias + i, head);
            store(gates, r, head);
            store(gates + at.stride, u, head);
            store(gates + 2 * at.stride, load(gates + 2 * at.stride, head) + r * q, head);
            store(gates + 3 * at.stride, q, head);
        });
        for_each_vector<T>(at.units, [&](std::ptrdiff_t i, auto head) {
            const std::ptrdiff_t place = k * at.stride + i;
            const V<T> n = tanh<T>(load(row + 2 * at.stride + i, head));
            const V<T> u = load(row + at.stride + i, head);
            store(row + 2 * at.stride + i, n, head);
            store_state(at, place, (T{1} - u) * n + u * load(at.previous + place, head), head);
        });
    }
}

template <class T>
void forward(const CellForward<T>& at) {
    switch (at.cell) {
        case Cell::rnn_tanh:
            return rnn_forward<T, true>(at);
        case Cell::rnn_relu:
            return rnn_forward<T, false>(at);
        case Cell::lstm:
            return lstm_forward<T>(at);
        case Cell::gru:
            return gru_forward<T>(at);
    }
}

// --------------------------------------------------------------------------------- backward

// The whole gradient of h after the step.
template <class T, class HeadType>
PYBP_INLINE V<T> incoming(const CellBackward<T>& at, std::ptrdiff_t place, HeadType head) {
    const V<T> dh = load(at.dh + place, head);
    return at.dy ? load(at.dy + place, head) + dh : dh;
}

// g times the slope of a sigmoid, from its value.
template <class T>
PYBP_INLINE V<T> sigmoid_grad(V<T> g, V<T> value) {
    return g * (value * (T{1} - value));
}
template <class T>
PYBP_INLINE V<T> tanh_grad(V<T> g, V<T> value) {
    return g * (T{1} - value * value);
}

template <class T, bool kTanh>
void rnn_backward(const CellBackward<T>& at) {
    for_each_unit<T>(at, [&](std::ptrdiff_t r, std::ptrdiff_t i, auto head) {
        const std::ptrdiff_t place = r * at.stride + i;
        const V<T> g = incoming(at, place, head);
        const V<T> y = load(at.y + place, head);
        const V<T> dz = kTanh ? tanh_grad<T>(g, y) : g * (y > T{0} ? broadcast(T{1}) : V<T>{});
        store(at.dz + r * at.dz_row + i, dz, head);
    });
}

template <class T>
void lstm_backward(const CellBackward<T>& at) {
    for_each_unit<T>(at, [&](std::ptrdiff_t r, std::ptrdiff_t j, auto head) {
        const std::ptrdiff_t place = r * at.stride + j;
        const T* gates = at.gates + r * at.gates_row + j;
        const V<T> i = load(gates, head);
        const V<T> f = load(gates + at.stride, head);
        const V<T> g = load(gates + 2 * at.stride, head);
        const V<T> o = load(gates + 3 * at.stride, head);
        const V<T> tanh_c = tanh<T>(load(at.cells + place, head));
        const V<T> dh = incoming(at, place, head);
        const V<T> dc = load(at.dc + place, head) + tanh_grad<T>(dh * o, tanh_c);
        const V<T> before = load(at.previous + place, head);
        T* dz = at.dz + r * at.dz_row + j;
        store(dz, sigmoid_grad<T>(dc * g, i), head);
        store(dz + at.stride, sigmoid_grad<T>(dc * before, f), head);
        store(dz + 2 * at.stride, tanh_grad<T>(dc * i, g), head);
        store(dz + 3 * at.stride, sigmoid_grad<T>(dh * tanh_c, o), head);
        store(at.dc + place, dc * f, head);
    });
}

template <class T>
void gru_backward(const CellBackward<T>& at) {
    for_each_unit<T>(at, [&](std::ptrdiff_t row, std::ptrdiff_t i, auto head) {
        const std::ptrdiff_t place = row * at.stride + i;
        const T* gates = at.gates + row * at.gates_row + i;
        const V<T> r = load(gates, head);
        const V<T> u = load(gates + at.stride, head);
        const V<T> n = load(gates + 2 * at.stride, head);
        const V<T> q = load(gates + 3 * at.stride, head);
        const V<T> before = load(at.previous + place, head);
        const V<T> dh = incoming(at, place, head);
        const V<T> dn = tanh_grad<T>(dh * (T{1} - u), n);
        const V<T> du = sigmoid_grad<T>(dh * (before - n), u);
        const V<T> dr = sigmoid_grad<T>(dn * q, r);
        const std::ptrdiff_t out = row * at.dz_row + i;
        store(at.dz + out, dr, head);
        store(at.dz + out + at.stride, du, head);
        store(at.dz + out + 2 * at.stride, dn, head);
        store(at.dq + out, dr, head);
        store(at.dq + out + at.stride, du, head);
        store(at.dq + out + 2 * at.stride, dn * r, head);
        store(at.dh + place, dh * u, head);
    });
}

template <class T>
void backward(const CellBackward<T>& at) {
    switch (at.cell) {
        case Cell::rnn_tanh:
            return rnn_backward<T, true>(at);
        case Cell::rnn_relu:
            return rnn_backward<T, false>(at);
        case Cell::lstm:
            return lstm_backward<T>(at);
        case Cell::gru:
            return gru_backward<T>(at);
    }
}

template <class T>
void multiply(const T* x, const T* mask, bool add, T* y, std::ptrdiff_t count) {
    for_each_vector<T>(count, [&](std::ptrdiff_t i, auto head) {
        const V<T> product = load(x + i, head) * load(mask + i, head);
        store(y + i, add ? load(y + i, head) + product : product, head);
    });
}

template <class T>
void fill(RecurrentKernels<T>& table) {
    table.forward = forward<T>;
    table.backward = backward<T>;
    table.multiply = multiply<T>;
}

}  // namespace

PYBP_EXPORT_TABLE(recurrent, RecurrentKernels)

}  // namespace pybp
