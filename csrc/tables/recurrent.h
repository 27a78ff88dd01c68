// The contract of the recurrent kernels; csrc/kernel_table.h has the rules for all kernels.
#pragma once

#include <cstddef>

#include "../kernel_table.h"

namespace pybp {

enum class Cell { rnn_tanh, rnn_relu, lstm, gru };  // the order of pybp.program.ops.recurrent.GATES

// Parts of z, and of the saved gates.
constexpr std::ptrdiff_t gate_count(Cell cell) {
    return cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1;
}
constexpr std::ptrdiff_t saved_count(Cell cell) {
    return cell == Cell::lstm || cell == Cell::gru ? 4 : 0;
}

// One time step of some rows and units of a cell. Where nothing else is said, arrays are [rows,
// units] with rows `stride` apart. Part g of a row of z or of the gates is `stride` numbers behind
// part g - 1.
struct CellRows {
    Cell cell;
    std::ptrdiff_t rows;
    std::ptrdiff_t units;
    std::ptrdiff_t stride;
};

template <class T>
struct CellForward : CellRows {
    // In: z + q of the parts; of gru z_r + q_r, z_u + q_u, z_n, q_n without its bias.
    // Out: the gates, as pybp.program.ops.recurrent.Recurrent saves them; of rnn h.
    T* gates;
    std::ptrdiff_t gates_row;
    const T* q_bias;    // [units]: of q_n, gru alone; or null
    const T* previous;  // h before the step, gru alone
    T* h;               // h after the step, written once more than to y
    const T* mask;      // or null
    T* masked;          // h * mask; written where there is a mask
    T* y;               // of rnn the same as gates
    T* c;               // lstm alone: c before the step, and after
    T* cells;           // c after the step, or null
};

template <class T>
struct CellBackward : CellRows {
    const T* y;  // h after the step, rnn alone
    const T* gates;
    std::ptrdiff_t gates_row;
    const T* cells;     // c after the step, lstm alone
    const T* previous;  // c (lstm) or h (gru) before the step
    const T* dy;        // or null
    T* dh;              // what later steps add to dy; of gru it becomes u * (dy + dh)
    T* dc;              // lstm alone: the gradient of c after the step, becomes that of c before it
    T* dz;
    T* dq;  // gru alone
    std::ptrdiff_t dz_row;
};

template <class T>
struct RecurrentKernels {
    void (*forward)(const CellForward<T>& step);
    void (*backward)(const CellBackward<T>& step);
    // y[i] = x[i] * mask[i], or y[i] + x[i] * mask[i].
    void (*multiply)(const T* x, const T* mask, bool add, T* y, std::ptrdiff_t count);
};

}  // namespace pybp
