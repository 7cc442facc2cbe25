// What the client and the server share: errors as text, calls without exceptions.
#pragma once
#include "shim.h"
#include <exception>
#include <string>
#include <tango.h>

// How a failure is told to Rust.
struct Failure {
    int32_t outcome;
    std::string text;
};

// The deepest entry of the stack says what happened; the others say on what way it came.
Failure failure(const Tango::DevErrorList &errors);

// Runs `work`; any exception becomes a failure that `told` gets.
template <typename Work, typename Told> void guarded(Work work, Told told) noexcept {
    try {
        try {
            work();
        } catch (const Tango::DevFailed &error) {
            told(failure(error.errors));
        } catch (const CORBA::Exception &error) {
            told(Failure{TANGO_ABSENT, std::string("the connection failed: ") + error._name()});
        } catch (const std::exception &error) {
            told(Failure{TANGO_REFUSED, error.what()});
        } catch (...) {
            told(Failure{TANGO_REFUSED, "libtango failed in a way that it does not explain"});
        }
    } catch (...) {
        // telling failed: there is no memory for a text
    }
}
