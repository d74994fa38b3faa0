/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/blob.h"
