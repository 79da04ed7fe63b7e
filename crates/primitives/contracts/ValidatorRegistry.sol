// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title The validators of a Heddle chain
/// @notice `members` is always the set that the next epoch takes. Every node reads it from this contract's storage after
/// the last block of an epoch, without a call: the order of the state variables is a part of the protocol, and the Rust
/// module `heddle_primitives::registry` has the same. There is no constructor: genesis holds code and storage.
///
/// A validator keeps its record for ever, under every key that it ever had. Whoever equivocates with one of them loses
/// its deposit and its seat, and never comes back. Nobody can take a third or more of the power that the set had when an
/// epoch began away before that epoch ends; only equivocators go regardless.
contract ValidatorRegistry {
    /// Who decides about members: an administrator, or whoever locks a deposit.
    enum Mode {
        Administered,
        Staked
    }

    enum Status {
        Unknown,
        // A member.
        Active,
        // No member, because it was absent; comes back by `unjail`.
        Jailed,
        // No member; its deposit is locked.
        Exiting,
        // No member; comes back by `add` or `deposit`.
        Gone,
        // Equivocated: never comes back.
        Tombstoned
    }

    /// What a node reads of a member.
    struct Member {
        // An ed25519 public key. Whether it is one, this contract cannot tell: nodes pass over a member whose key is none.
        bytes32 key;
        uint64 power;
        // Who earns the fees of its blocks.
        address feeRecipient;
    }

    struct Validator {
        // The present one.
        bytes32 key;
        uint64 power;
        address feeRecipient;
        Status status;
        // Place in `members`, from 1; 0 for none.
        uint16 seat;
        // The block from which on `unjail` or `withdraw` is possible.
        uint64 releaseBlock;
        // Who deposited; zero where an administrator decides.
        address operator;
        // In wei.
        uint256 deposit;
    }

    /// What the limit on changes is counted with.
    struct Power {
        // The epoch of the last change.
        uint64 epoch;
        // All members' power when that epoch began.
        uint64 atStart;
        // Power that was taken away since.
        uint64 taken;
        // All members' power now.
        uint64 total;
    }

    /// As many as nodes accept.
    uint256 public constant MAX_MEMBERS = 200;
    /// As much as nodes accept: three times it still fits in 64 bits.
    uint64 public constant MAX_TOTAL_POWER = type(uint64).max / 8;
    /// Who calls on behalf of the protocol, at the start of every block.
    address public constant SYSTEM = 0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE;

    Member[] private members;
    /// Bit i: the member i of the epoch, in order of address, signed a certificate of this epoch.
    uint256 public signed;
    /// Position in `known`, from 1, of whoever has or had a key.
    mapping(bytes32 key => uint256 id) private idOf;
    Validator[] private known;
    Power private power;
    Mode public mode;
    /// In blocks, as are the two durations.
    uint64 public epochLength;
    /// How long a deposit stays locked after the exit: longer than evidence is accepted.
    uint64 public exitDelay;
    uint64 public jailDuration;
    address public administrator;
    /// Wei of deposit for one power.
    uint256 public unit;
    /// In wei.
    uint256 public minimumDeposit;

    event Added(bytes32 indexed key, uint64 power, address feeRecipient, address operator);
    event Removed(bytes32 indexed key);
    event PowerChanged(bytes32 indexed key, uint64 power);
    event FeeRecipientChanged(bytes32 indexed key, address feeRecipient);
    event KeyRotated(bytes32 indexed oldKey, bytes32 indexed newKey);
    event Jailed(bytes32 indexed key, uint256 releaseBlock);
    event Unjailed(bytes32 indexed key);
    event Slashed(bytes32 indexed key, uint256 burnt);
    event Deposited(bytes32 indexed key, uint256 amount);
    event ExitStarted(bytes32 indexed key, uint256 releaseBlock);
    event Withdrawn(bytes32 indexed key, uint256 amount);
    event AdministratorChanged(address from, address to);

    error OnlySystem();
    error OnlyAdministrator();
    error OnlyOperator(address operator);
    error WrongMode(Mode mode);
    error UnknownKey(bytes32 key);
    error KeyTaken(bytes32 key);
    error WrongStatus(Status status);
    error TooManyMembers();
    error LastMember();
    error PowerOutOfRange(uint256 power);
    error TooMuchPowerAtOnce(uint256 taken, uint64 atStart);
    error DepositTooSmall(uint256 deposit, uint256 minimum);
    error NotBefore(uint256 releaseBlock);
    error ZeroAddress();
    error TransferFailed();

    modifier only(Mode wanted) {
        if (mode != wanted) revert WrongMode(mode);
        if (wanted == Mode.Administered && msg.sender != administrator) revert OnlyAdministrator();
        _;
    }

    // What the protocol does.

    /// @notice Called by the protocol at the start of every block.
    /// @param signers Who signed the parent: bit i for the member i of the epoch, in order of address.
    /// @param absent In an epoch's last block, the keys of those that signed nothing in it: jailed, as far as the limit
    /// on changes allows.
    /// @param equivocators The keys that this block's evidence convicts.
    function onBlock(uint256 signers, bytes32[] calldata absent, bytes32[] calldata equivocators) external {
        if (msg.sender != SYSTEM) revert OnlySystem();
        if (signers != 0) signed |= signers;
        for (uint256 i = 0; i < equivocators.length; i++) {
            uint256 id = idOf[equivocators[i]];
            if (id != 0) _slash(known[id - 1]);
        }
        for (uint256 i = 0; i < absent.length; i++) {
            uint256 id = idOf[absent[i]];
            if (id != 0) _jail(known[id - 1]);
        }
        if (block.number % epochLength == 0) signed = 0;
    }

    function _slash(Validator storage validator) private {
        if (validator.status == Status.Tombstoned) return;
        validator.status = Status.Tombstoned;
        // The last member keeps its seat until another has one: a chain without validators stands still.
        if (validator.seat != 0 && members.length > 1) _unseat(validator);
        emit Slashed(validator.key, validator.deposit);
        // Nothing pays it out any more.
        validator.deposit = 0;
    }

    function _jail(Validator storage validator) private {
        if (validator.status != Status.Active || members.length == 1) return;
        Power memory now_ = _power();
        if (_isTooMuch(now_, validator.power)) return;
        _unseat(validator);
        validator.status = Status.Jailed;
        validator.releaseBlock = uint64(block.number) + jailDuration;
        emit Jailed(validator.key, validator.releaseBlock);
    }

    // What an administrator does.

    /// @notice Makes a new validator a member, or one that was removed.
    function add(bytes32 key, uint64 power_, address feeRecipient) external only(Mode.Administered) {
        _admit(key, address(0), power_, feeRecipient);
    }

    /// @notice Takes a validator's seat, or its right to come back from jail.
    function remove(bytes32 key) external only(Mode.Administered) {
        Validator storage validator = _present(key);
        _leave(validator);
        validator.status = Status.Gone;
        emit Removed(key);
    }

    function setPower(bytes32 key, uint64 power_) external only(Mode.Administered) {
        _setPower(_present(key), power_);
    }

    function setAdministrator(address to) external only(Mode.Administered) {
        if (to == address(0)) revert ZeroAddress();
        emit AdministratorChanged(administrator, to);
        administrator = to;
    }

    // What an operator does with its own deposit.

    /// @notice Makes a validator a member; its power is the deposit in units. A key belongs for ever to who first used it.
    function deposit(bytes32 key, address feeRecipient) external payable only(Mode.Staked) {
        if (msg.value < minimumDeposit) revert DepositTooSmall(msg.value, minimumDeposit);
        Validator storage validator = _admit(key, msg.sender, _powerOf(msg.value), feeRecipient);
        validator.deposit = msg.value;
        emit Deposited(key, msg.value);
    }

    /// @notice Adds to a deposit, and with it to the power.
    function topUp(bytes32 key) external payable only(Mode.Staked) {
        Validator storage validator = _own(key);
        validator.deposit += msg.value;
        emit Deposited(key, msg.value);
        _setPower(validator, _powerOf(validator.deposit));
    }

    /// @notice Takes the validator's seat; the deposit can be withdrawn after `exitDelay` blocks.
    function exit(bytes32 key) external only(Mode.Staked) {
        Validator storage validator = _own(key);
        _leave(validator);
        validator.status = Status.Exiting;
        validator.releaseBlock = uint64(block.number) + exitDelay;
        emit ExitStarted(key, validator.releaseBlock);
    }

    function withdraw(bytes32 key) external only(Mode.Staked) {
        Validator storage validator = _get(key);
        if (msg.sender != validator.operator) revert OnlyOperator(validator.operator);
        if (validator.status != Status.Exiting) revert WrongStatus(validator.status);
        if (block.number < validator.releaseBlock) revert NotBefore(validator.releaseBlock);
        uint256 amount = validator.deposit;
        validator.status = Status.Gone;
        validator.deposit = 0;
        emit Withdrawn(key, amount);
        (bool isPaid,) = msg.sender.call{value: amount}("");
        if (!isPaid) revert TransferFailed();
    }

    // What either does.

    function setFeeRecipient(bytes32 key, address feeRecipient) external {
        Validator storage validator = _own(key);
        validator.feeRecipient = feeRecipient;
        if (validator.seat != 0) members[validator.seat - 1].feeRecipient = feeRecipient;
        emit FeeRecipientChanged(key, feeRecipient);
    }

    /// @notice From the next epoch on the validator signs with another key, which nobody ever had.
    function rotateKey(bytes32 oldKey, bytes32 newKey) external {
        Validator storage validator = _own(oldKey);
        if (newKey == 0 || idOf[newKey] != 0) revert KeyTaken(newKey);
        idOf[newKey] = idOf[oldKey];
        validator.key = newKey;
        if (validator.seat != 0) {
            members[validator.seat - 1].key = newKey;
            power = _without(_power(), validator.power);
        }
        emit KeyRotated(oldKey, newKey);
    }

    /// @notice Gives a jailed validator its seat back.
    function unjail(bytes32 key) external {
        Validator storage validator = _own(key);
        if (validator.status != Status.Jailed) revert WrongStatus(validator.status);
        if (block.number < validator.releaseBlock) revert NotBefore(validator.releaseBlock);
        _seat(validator);
        emit Unjailed(key);
    }

    // What everybody may ask.

    /// @notice The set that the next epoch takes.
    function validators() external view returns (Member[] memory) {
        return members;
    }

    /// @notice Whoever has or had this key; its status is 0 for a key that nobody ever had.
    function validatorOf(bytes32 key) external view returns (Validator memory found) {
        uint256 id = idOf[key];
        if (id != 0) found = known[id - 1];
    }

    function isMember(bytes32 key) external view returns (bool) {
        uint256 id = idOf[key];
        return id != 0 && known[id - 1].seat != 0 && known[id - 1].key == key;
    }

    function isTombstoned(bytes32 key) external view returns (bool) {
        uint256 id = idOf[key];
        return id != 0 && known[id - 1].status == Status.Tombstoned;
    }

    function totalPower() external view returns (uint64) {
        return power.total;
    }

    /// @notice The epoch of the present block, from 0.
    function epoch() public view returns (uint64) {
        return uint64((block.number - 1) / epochLength);
    }

    // Parts of the above.

    function _get(bytes32 key) private view returns (Validator storage found) {
        uint256 id = idOf[key];
        if (id == 0) revert UnknownKey(key);
        found = known[id - 1];
        if (found.key != key) revert UnknownKey(key);
    }

    /// A validator that has a seat or waits for it in jail.
    function _present(bytes32 key) private view returns (Validator storage found) {
        found = _get(key);
        if (found.status != Status.Active && found.status != Status.Jailed) revert WrongStatus(found.status);
    }

    /// The same, when the caller may speak for it.
    function _own(bytes32 key) private view returns (Validator storage found) {
        found = _present(key);
        if (mode == Mode.Administered) {
            if (msg.sender != administrator) revert OnlyAdministrator();
        } else if (msg.sender != found.operator) {
            revert OnlyOperator(found.operator);
        }
    }

    function _admit(bytes32 key, address operator, uint64 power_, address feeRecipient)
        private
        returns (Validator storage admitted)
    {
        if (key == 0) revert KeyTaken(key);
        if (idOf[key] == 0) {
            admitted = known.push();
            idOf[key] = known.length;
            admitted.key = key;
            admitted.operator = operator;
        } else {
            admitted = known[idOf[key] - 1];
            if (admitted.key != key || admitted.operator != operator) revert KeyTaken(key);
            if (admitted.status != Status.Gone) revert WrongStatus(admitted.status);
        }
        admitted.power = power_;
        admitted.feeRecipient = feeRecipient;
        _seat(admitted);
        emit Added(key, power_, feeRecipient, operator);
    }

    function _seat(Validator storage newcomer) private {
        if (members.length == MAX_MEMBERS) revert TooManyMembers();
        Power memory now_ = _power();
        now_.total = _bounded(newcomer.power, uint256(now_.total) + newcomer.power);
        power = now_;
        members.push(Member(newcomer.key, newcomer.power, newcomer.feeRecipient));
        newcomer.seat = uint16(members.length);
        newcomer.status = Status.Active;
        Validator storage first = known[idOf[members[0].key] - 1];
        if (first.status == Status.Tombstoned) _unseat(first);
    }

    /// Gives up the seat, if there is one, within the limit on changes.
    function _leave(Validator storage leaving) private {
        if (leaving.seat == 0) return;
        if (members.length == 1) revert LastMember();
        _without(_power(), leaving.power);
        _unseat(leaving);
    }

    function _unseat(Validator storage leaving) private {
        Power memory now_ = _power();
        now_.total -= leaving.power;
        uint256 taken = uint256(now_.taken) + leaving.power;
        now_.taken = taken > type(uint64).max ? type(uint64).max : uint64(taken);
        power = now_;
        if (leaving.seat != members.length) {
            Member memory moved = members[members.length - 1];
            members[leaving.seat - 1] = moved;
            known[idOf[moved.key] - 1].seat = leaving.seat;
        }
        members.pop();
        leaving.seat = 0;
    }

    function _setPower(Validator storage changed, uint64 power_) private {
        Power memory now_ = _power();
        uint256 total = now_.total;
        if (changed.seat != 0) {
            if (power_ < changed.power) now_ = _without(now_, changed.power - power_);
            total = total - changed.power + power_;
            members[changed.seat - 1].power = power_;
        }
        now_.total = _bounded(power_, total);
        power = now_;
        changed.power = power_;
        emit PowerChanged(changed.key, power_);
    }

    /// The same with this much taken away, if that is within the limit.
    function _without(Power memory now_, uint64 amount) private pure returns (Power memory) {
        if (_isTooMuch(now_, amount)) revert TooMuchPowerAtOnce(uint256(now_.taken) + amount, now_.atStart);
        now_.taken += amount;
        return now_;
    }

    function _isTooMuch(Power memory now_, uint64 amount) private pure returns (bool) {
        return 3 * (uint256(now_.taken) + amount) >= now_.atStart;
    }

    /// The power in the present epoch.
    function _power() private view returns (Power memory now_) {
        now_ = power;
        uint64 present = epoch();
        if (now_.epoch != present) (now_.epoch, now_.atStart, now_.taken) = (present, now_.total, 0);
    }

    function _powerOf(uint256 deposited) private view returns (uint64) {
        uint256 units = deposited / unit;
        return _bounded(units, units);
    }

    function _bounded(uint256 power_, uint256 total) private pure returns (uint64) {
        if (power_ == 0 || total > MAX_TOTAL_POWER) revert PowerOutOfRange(power_);
        return uint64(total);
    }
}
